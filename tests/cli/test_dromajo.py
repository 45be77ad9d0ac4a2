"""``gcpt convert --from dromajo``, of files in the shape of Dromajo's."""

from collections.abc import Callable
from pathlib import Path

import dromajos
import pytest
from command import gcpt, refusal

from gcpt.checkpoint import dromajo
from gcpt.checkpoint.files import open_checkpoint
from gcpt.checkpoint.state import HartState
from gcpt.isa.csrs import BY_NUMBER


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], HartState]:
    """The files of a checkpoint by their endings, and the state of the hart before its mret is prepared."""
    return dromajos.make(tmp_path_factory.mktemp("rom"))


@pytest.fixture
def files(tmp_path: Path, saved: tuple[dict[str, bytes], HartState]) -> Callable[..., Path]:
    """``files({".dev": b"..."})``: a checkpoint with other contents in some files; its name. None: no such file."""

    def write(change: dict[str, bytes | None] | None = None) -> Path:
        for ending, content in {**saved[0], **(change or {})}.items():
            if content is not None:
                (tmp_path / f"ck.1{ending}").write_bytes(content)
        return tmp_path / "ck.1"

    return write


def test_a_checkpoint_restores(tmp_path: Path, files: Callable[..., Path], saved: tuple[object, HartState]) -> None:
    run = gcpt("convert", "--from", "dromajo", files(), tmp_path / "image")
    wanted = saved[1]
    assert (run.returncode, run.stderr) == (0, "")
    (state,) = open_checkpoint(tmp_path / "image").harts
    assert (state.pc, state.mode, state.mtime, state.mtimecmp) == (
        wanted.pc,
        wanted.mode,
        wanted.mtime,
        wanted.mtimecmp,
    )
    assert (state.x, state.f) == (wanted.x, wanted.f)
    differing = [number for number in BY_NUMBER if state.csr[number] != wanted.csr[number]]
    assert {BY_NUMBER[number].name for number in differing} <= {"mstatus", "mepc"}
    verified = gcpt("verify", tmp_path / "image")
    assert verified.returncode == 0 and ", 0 unexplained" in verified.stdout, verified.stdout + verified.stderr


def test_memory_from_its_start_needs_a_flash_pair(
    tmp_path: Path, files: Callable[..., Path], saved: tuple[dict[str, bytes], object]
) -> None:
    memory = b"code" + saved[0][".mainram"][4:]
    name, image, flash = files({".mainram": memory}), tmp_path / "image", tmp_path / "flash"
    lost = "the first MiB of memory is in use, but a restorer overwrites it: give --layout flash"
    assert lost in gcpt("convert", "--from", "dromajo", name, image).stderr
    pair = ("--layout", "flash", "--flash-out", flash)
    run = gcpt("convert", "--from", "dromajo", *pair, f"{name}.mainram", image)
    assert lost not in run.stderr and image.read_bytes() == memory, run.stderr
    assert open_checkpoint(image, flash).harts[0].pc == open_checkpoint(image, flash).harts[0].get("mepc")
    assert "give --layout flash" in refusal(gcpt("convert", "--from", "dromajo", "--flash-out", flash, name, image))


def test_what_is_lost_is_named(files: Callable[..., Path], saved: tuple[dict[str, bytes], HartState]) -> None:
    rom, state = saved[0][".bootram"], saved[1]
    for f, x in zip(state.f, state.x, strict=True):
        old, new = f.to_bytes(8, "little"), (f & 0xFFFF_FFFF | x >> 32 << 32).to_bytes(8, "little")
        rom = rom.replace(old, new)
    name = files({".bootram": rom, ".dev": b'{ "plic": { "plic_pending_irq": 0x20 } }'})
    losses = dromajo.read(name).losses
    assert "hart 0: f0 to f31 have the upper halves of x0 to x31: Dromajo saves no others" in losses
    assert "the state of the PLIC or of virtio devices: a checkpoint has no place for it" in losses


@pytest.mark.parametrize(
    ("ending", "change", "words"),
    [
        (".bootram", lambda data: None, "ck.1.bootram is missing: want the name of a checkpoint of Dromajo"),
        (".mainram", lambda data: None, "ck.1.mainram is missing"),
        (".re_regs", lambda data: None, "ck.1.re_regs is missing"),
        (".bootram", lambda data: b"", "restores no hart: it ends without dret"),
        (".bootram", lambda data: data[:0x100], "outside of it"),
        (".bootram", lambda data: data[:16] + bytes(8), "restores no hart: unknown instruction 0x00000000 at 0x10"),
        (".bootram", lambda data: b"\x73\x00\x20\x7b", "its pc is"),
        (".re_regs", lambda data: b"\xff", "ck.1.re_regs: is no text"),
        (".re_regs", lambda data: b"", "does not belong to ck.1.bootram: 'pc'"),
        (".re_regs", lambda data: data.replace(b"pc:0x", b"pc:0x1"), "does not belong to ck.1.bootram: its pc is"),
        (".re_regs", lambda data: data.replace(b"mcounteren:", b"mcounteren:a"), "does not belong to"),
        (".re_regs", lambda data: data.replace(b"0x80000000", b"0x90000000"), "bytes of memory at 0x80000000: want"),
        (".mainram", lambda data: data[:-1], "has no 8388607 bytes of memory at 0x80000000"),
    ],
)
def test_damaged_checkpoints_are_refused(
    tmp_path: Path,
    files: Callable[..., Path],
    saved: tuple[dict[str, bytes], object],
    ending: str,
    change: Callable[[bytes], bytes | None],
    words: str,
) -> None:
    name = files({ending: change(saved[0][ending])})
    assert words in refusal(gcpt("convert", "--from", "dromajo", name, tmp_path / "image"))
    assert not (tmp_path / "image").exists()


def test_an_output_is_no_input(tmp_path: Path, files: Callable[..., Path]) -> None:
    name = files()
    run = gcpt("convert", "--from", "dromajo", "--container", "raw", name, f"{name}.mainram")
    assert "is also a file of IN" in refusal(run)
