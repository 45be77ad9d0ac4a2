"""The next boot stage: a restorer without a checkpoint starts it, one with a checkpoint does not."""

from pathlib import Path

import pytest
from bench import DRAM, Bench, assert_exact

from gcpt import synthetic
from gcpt.qemu import Machine
from gcpt.state import DUAL_CORE, SINGLE_CORE
from gcpt.synthetic import Mode, Recipe

#: Debian's packages opensbi and u-boot-qemu, which ./sconsw installs.
OPENSBI = Path("/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_jump.bin")
U_BOOT = Path("/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin")
#: Where fw_jump expects it, from DRAM base.
_U_BOOT_OFFSET = 0x20_0000


@pytest.mark.parametrize(("mode", "harts"), [("single_core", 1), ("dual_core", 2), ("normal", 2), ("auto", 2)])
def test_payload_boots_to_the_prompt(bench: Bench, mode: str, harts: int) -> None:
    """OpenSBI, which needs a0 and a1 as the machine gave them, and U-Boot under it, on all harts."""
    position = {"gcpt_payload_position": "0x80a00000"} if mode == "dual_core" else {}
    restorer = bench.build(mode, gcpt_payload=str(OPENSBI), harts=str(harts), **position)
    memory = bench.image([(DRAM, restorer.image.read_bytes()), (DRAM + _U_BOOT_OFFSET, U_BOOT.read_bytes())])
    if position:
        assert restorer.image.stat().st_size > 0xA0_0000
    with bench.run(memory, Machine(harts=harts)) as qemu:
        qemu.expect(r"Platform HART Count +: " + str(harts), 30)
        qemu.expect(r"Hit any key to stop autoboot", 60)
        qemu.type("\n")
        qemu.expect(r"=> ", 30)
        qemu.type("setenv answer 42; printenv answer\n")
        qemu.expect(r"\sanswer=42\s", 30)


@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_a_checkpoint_goes_before_the_payload(bench: Bench, mode: str) -> None:
    place = SINGLE_CORE if mode == "single_core" else DUAL_CORE
    made = synthetic.make(Recipe((Mode.S,)))
    restorer = bench.build(mode, gcpt_payload=str(OPENSBI), harts="1" if mode == "single_core" else "2")
    memory = bench.restored(made, place, restorer)
    assert_exact(bench.compare(memory, restorer, {0: made.harts[0]}, Machine()))
