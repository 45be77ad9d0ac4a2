"""The payload, in the image or in memory: a restorer boots it if and only if there is no checkpoint."""

import subprocess
from pathlib import Path

import pytest
from bench import CODES, DRAM, Bench, assert_exact, jump

from gcpt.checkpoint.layouts import PAYLOAD_OFFSET
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.machines import synthetic
from gcpt.machines.arrival import run_to_first
from gcpt.machines.qemu import Machine
from gcpt.machines.synthetic import Mode, Recipe

#: Debian's packages opensbi and u-boot-qemu, which ./sconsw installs.
OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
#: Offset from DRAM base at which U-Boot runs. fw_jump goes there, or as far from itself (in Debian 13, OpenSBI 1.6).
_U_BOOT_OFFSET = 0x20_0000


def _next(payload: int) -> list[tuple[int, bytes]]:
    """U-Boot, and a jump to it where an OpenSBI at this address goes that counts from itself."""
    u_boot = U_BOOT.read_bytes()
    assert len(u_boot) <= PAYLOAD_OFFSET
    return [(DRAM + _U_BOOT_OFFSET, u_boot), jump(payload + _U_BOOT_OFFSET, DRAM + _U_BOOT_OFFSET)]


@pytest.mark.parametrize(("mode", "harts"), [("single_core", 1), ("dual_core", 2), ("normal", 2), ("auto", 2)])
def test_payload_boots_to_the_prompt(bench: Bench, mode: str, harts: int) -> None:
    """OpenSBI, which needs the machine's a0 and a1, and U-Boot after it, on all harts."""
    far = mode == "dual_core"
    position = DRAM + (0xA0_0000 if far else PAYLOAD_OFFSET)
    given = {"gcpt_payload_position": f"{position:#x}"} if far else {}
    restorer = bench.build(mode, gcpt_payload=str(OPENSBI), harts=str(harts), **given)
    memory = bench.image([(DRAM, restorer.image.read_bytes()), *_next(position)])
    if far:
        assert restorer.image.stat().st_size > 0xA0_0000
    with bench.run(memory, Machine(harts=harts)) as qemu:
        qemu.expect(r"Platform HART Count +: " + str(harts))
        qemu.expect(r"Hit any key to stop autoboot")
        qemu.type("\n")
        qemu.expect(r"=> ")
        qemu.type("setenv answer 42; printenv answer\n")
        qemu.expect(r"\sanswer=42\s")


@pytest.mark.parametrize(("mode", "harts"), [("single_core", 1), ("dual_core", 3), ("auto", 3)])
@pytest.mark.parametrize("own", [False, True], ids=["the machine's device tree", "gcpt_dtb="])
@pytest.mark.parametrize("inside", [True, False])
def test_what_a_payload_is_given(bench: Bench, mode: str, harts: int, own: bool, inside: bool) -> None:
    """Each hart has its number in a0, and a device tree's address in a1: the machine's or the restorer's own."""
    loop, tree = bench.folder / "loop.bin", bench.folder / "board.dtb"
    loop.write_bytes(jump(0, 0)[1])
    source = '/dts-v1/; / { model = "one of its own"; };'
    subprocess.run(["dtc", "-O", "dtb", "-o", tree], input=source, text=True, check=True)
    payload = {"gcpt_payload": str(loop)} if inside else {"gcpt_payload_position": f"{DRAM + PAYLOAD_OFFSET:#x}"}
    restorer = bench.build(mode, harts=str(harts), **payload, **({"gcpt_dtb": str(tree)} if own else {}))
    memory = bench.image([(DRAM + PAYLOAD_OFFSET, loop.read_bytes()), (DRAM, restorer.image.read_bytes())])
    with bench.run(memory, Machine(harts=harts), paused=True) as running, running.gdb() as gdb:
        run_to_first(gdb, dict.fromkeys(range(harts), DRAM + PAYLOAD_OFFSET))
        assert [gdb.read_int(hart, "a0") for hart in range(harts)] == list(range(harts))
        [at] = {gdb.read_int(hart, "a1") for hart in range(harts)}
        content = gdb.read_memory(at, tree.stat().st_size)
    assert content[:4] == bytes.fromhex("d00dfeed")
    assert (content == tree.read_bytes()) == own


@pytest.mark.parametrize(("mode", "harts"), [("single_core", 1), ("dual_core", 2), ("normal", 2), ("auto", 2)])
def test_a_payload_outside_the_image_boots_to_the_prompt(bench: Bench, mode: str, harts: int) -> None:
    """As in workload-builder's images of one hart: OpenSBI lies 1 MiB above the restorer, which does not contain it."""
    position = DRAM + PAYLOAD_OFFSET
    restorer = bench.build(mode, gcpt_payload_position=f"{position:#x}", harts=str(harts))
    assert restorer.image.stat().st_size < PAYLOAD_OFFSET
    pieces = [(DRAM, restorer.image.read_bytes()), (position, OPENSBI.read_bytes()), *_next(position)]
    memory = bench.image(pieces)
    with bench.run(memory, Machine(harts=harts)) as qemu:
        qemu.expect(r"Platform HART Count +: " + str(harts))
        qemu.expect(r"Hit any key to stop autoboot")


@pytest.mark.parametrize(("mode", "options"), [("single_core", {}), ("auto", {"ram": "0x81000000", "harts": "4"})])
def test_from_flash_the_payload_may_be_at_the_base_of_memory(bench: Bench, mode: str, options: dict[str, str]) -> None:
    restorer = bench.build(mode, flash="1", gcpt_payload_position=f"{DRAM:#x}", **options)
    memory = bench.image([(DRAM, OPENSBI.read_bytes()), (DRAM + _U_BOOT_OFFSET, U_BOOT.read_bytes())])
    with bench.run(memory, Machine(flash=bench.flash(restorer))) as qemu:
        qemu.expect(r"Hit any key to stop autoboot")


@pytest.mark.parametrize("harts", [1, 3])
@pytest.mark.parametrize("mode", ["single_core", "dual_core", "auto"])
def test_a_payload_that_is_not_there_ends_the_run(bench: Bench, mode: str, harts: int) -> None:
    restorer = bench.build(mode, gcpt_payload_position=f"{DRAM + PAYLOAD_OFFSET:#x}")
    pieces = [(DRAM, restorer.image.read_bytes()), (DRAM + PAYLOAD_OFFSET + 4, OPENSBI.read_bytes())]
    end = bench.end(bench.image(pieces), Machine(harts=harts))
    code, *_ = end.error()
    assert (end.status, code) == (CODES["NO_CHECKPOINT"], CODES["NO_CHECKPOINT"])


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_a_checkpoint_goes_before_the_payload(bench: Bench, mode: str, inside: bool) -> None:
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    checkpoint = synthetic.make(Recipe((Mode.S,)))
    payload = {"gcpt_payload": str(OPENSBI)} if inside else {"gcpt_payload_position": f"{DRAM + PAYLOAD_OFFSET:#x}"}
    restorer = bench.build(mode, **payload, harts="1" if mode == "single_core" else "2")
    memory = bench.restored(checkpoint, place, restorer)
    assert_exact(bench.compare(memory, restorer, {0: checkpoint.harts[0]}, Machine()))
