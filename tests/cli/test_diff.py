"""``gcpt diff``: the same state in any layout and container is equal; differences have names, fields and pages."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import gcpt, refusal

from gcpt.checkpoint import output
from gcpt.checkpoint.files import PLACES, open_checkpoint, write_checkpoint
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE
from gcpt.checkpoint.state import HartState
from gcpt.machines.synthetic import Mode, Recipe

Make = Callable[..., Path]


def _json(*arguments: object) -> tuple[int, dict]:  # type: ignore[type-arg]
    run = gcpt("diff", "--json", *map(str, arguments))
    assert run.stderr == ""
    return run.returncode, json.loads(run.stdout)


@pytest.mark.parametrize(
    ("layout", "container"), [("single_core", "raw"), ("dual_core", "gzip"), ("protobuf", "zstd"), ("nemu", "raw")]
)
def test_same_state_in_another_form(checkpoint_file: Make, tmp_path: Path, layout: str, container: str) -> None:
    path, other = checkpoint_file(Recipe((Mode.VS,), vlen=256)), tmp_path / "other"
    opened = open_checkpoint(path)
    write_checkpoint(other, opened.harts, opened.memory(), PLACES[layout], container)
    run = gcpt("diff", path, other)
    assert (run.returncode, run.stdout) == (0, f"{path} and {other}: the same state and memory\n")
    status, result = _json(path, other, "--all")
    assert (status, bool(result["memory"]["memory"]["first"])) == ((0, False) if layout == "single_core" else (1, True))
    assert result["registers"] == []


def test_every_kind_of_register(checkpoint_file: Make, tmp_path: Path) -> None:
    path, other = checkpoint_file(Recipe(harts=2), DUAL_CORE), tmp_path / "other"
    opened = open_checkpoint(path)
    first, second = opened.harts
    wanted = {(0, "pc"): (first.pc, 2), (0, "mtimecmp"): (first.mtimecmp, 3), (0, "x10 (a0)"): (first.x[10], 4)}
    first.pc, first.mtimecmp, first.x[10] = 2, 3, 4
    second.f[31], second.csr[0xABC], second.v[7] = 5, 6, bytes(15) + b"\x01"
    changed = {(1, "f31"): 5, (1, "csr 0xabc"): 6, (1, "v7"): "01" + 15 * "00"}
    write_checkpoint(other, opened.harts, opened.memory(), DUAL_CORE)
    status, result = _json(path, other)
    values = {(row["hart"], row["name"]): (row["a"], row["b"]) for row in result["registers"]}
    assert status == 1 and set(values) == {*wanted, *changed}
    assert {name: values[name] for name in wanted} == wanted
    assert {name: values[name][1] for name in changed} == changed
    assert result["memory"]["memory"] == {"bytes": 0, "ranges": 0, "first": []}


def test_fields_of_a_csr(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].set("mstatus", harts[0].get("mstatus") & ~(3 << 11) | 3 << 11)

    path = checkpoint_file()
    other = checkpoint_file(change=change, name="other.zst")
    status, result = _json(path, other)
    [row] = result["registers"]
    assert (status, row["name"], row["fields"]) == (1, "mstatus", [{"name": "MPP", "a": "MPP=S", "b": "MPP=M"}])
    lines = gcpt("diff", path, other).stdout.splitlines()
    assert lines[0].split() == ["hart", "register", "A", "B", "fields"]
    assert lines[1].endswith("MPP=S / MPP=M") and len(lines) == 2


def _raw(path: Path, changes: dict[int, bytes], out: Path) -> Path:
    output.unpack(path, out)
    with out.open("r+b") as file:
        for offset, data in changes.items():
            file.seek(offset)
            file.write(data)
    return out


def test_ranges_of_pages(checkpoint_file: Make, tmp_path: Path) -> None:
    """Adjacent pages are one range, even across the pieces of a file; the restorer's MiB does not count."""
    path = checkpoint_file()
    at = {0x1234: b"restorer", 0x20_0FFF: b"ab", 0x2F_FFFF: b"cd", 0x7FF_FFFF: b"e"}
    other = _raw(path, at, tmp_path / "other")
    status, result = _json(path, other)
    memory = result["memory"]["memory"]
    wanted = [(0x20_0000, 0x20_2000), (0x2F_F000, 0x30_1000), (0x7FF_F000, 0x800_0000)]
    assert [(row["begin"], row["end"]) for row in memory["first"]] == wanted
    assert (status, memory["ranges"], memory["bytes"], result["registers"]) == (1, 3, 5 * 4096, [])
    _, everything = _json(path, other, "--all")
    assert everything["memory"]["memory"]["first"][0] == {"begin": 0x1000, "end": 0x2000}
    assert "memory: 20,480 bytes in 3 ranges of pages" in gcpt("diff", path, other).stdout


def test_zeros_extend_a_shorter_image(checkpoint_file: Make, tmp_path: Path) -> None:
    path = checkpoint_file()
    other = _raw(path, {}, tmp_path / "other")
    with other.open("r+b") as file:
        file.truncate(8 << 20)
    assert gcpt("diff", path, other).returncode == gcpt("diff", other, path).returncode == 0
    longer = _raw(path, {200 << 20: b"x"}, tmp_path / "longer")
    assert [_json(*pair)[0] for pair in ((other, longer), (longer, other))] == [1, 1]


def test_numbers_of_harts(checkpoint_file: Make, tmp_path: Path) -> None:
    path = checkpoint_file(Recipe(harts=2), DUAL_CORE)
    opened = open_checkpoint(path)
    write_checkpoint(tmp_path / "other", opened.harts[:1], opened.memory(), SINGLE_CORE)
    assert _json(path, tmp_path / "other")[1]["harts"] == [2, 1]
    run = gcpt("diff", path, tmp_path / "other")
    assert (run.returncode, run.stdout) == (1, "harts: 2 and 1\n")


def test_flash(checkpoint_file: Make, tmp_path: Path) -> None:
    """A flash pair: the state is in the flash image; data behind its first MiB is compared too."""
    path, memory, flash = checkpoint_file(), tmp_path / "memory", tmp_path / "flash"
    assert gcpt("convert", path, memory, "--layout", "flash", "--flash-out", flash).returncode == 0
    assert gcpt("diff", path, memory, "--flash-b", flash).returncode == 0
    other = _raw(flash, {0x18_0000: b"more"}, tmp_path / "other")
    status, result = _json(memory, memory, "--flash-a", flash, "--flash-b", other)
    assert (status, result["memory"]["flash"]["first"]) == (1, [{"begin": 0x18_0000, "end": 0x18_1000}])


@pytest.mark.parametrize("options", [(), ("--all",)], ids=["default", "all"])
@pytest.mark.parametrize("at", [0x10_0000, 0x18_0FFF, 0x1FF_FFFF])
@pytest.mark.parametrize("side", ["a", "b"])
def test_flash_of_one_side(checkpoint_file: Make, tmp_path: Path, side: str, at: int, options: tuple[str, ...]) -> None:
    """Its content counts as a difference from zeros; a flash image with nothing but the state is no difference."""
    path, memory, flash = checkpoint_file(), tmp_path / "memory", tmp_path / "flash"
    assert gcpt("convert", path, memory, "--layout", "flash", "--flash-out", flash).returncode == 0
    other = _raw(flash, {at: b"x"}, tmp_path / "other")

    def arguments(image: Path) -> tuple[Path | str, ...]:
        files = (memory, path) if side == "a" else (path, memory)
        return (*files, f"--flash-{side}", image)

    page = at & ~0xFFF
    status, result = _json(*arguments(other), *options)
    found = result["memory"]["flash"]
    assert (status, found["only_in"], found["first"][-1]) == (1, side, {"begin": page, "end": page + 0x1000})
    assert f"flash: 4,096 bytes in 1 range of pages, only {side.upper()} has" in gcpt("diff", *arguments(other)).stdout
    status, result = _json(*arguments(flash))
    assert (status, result["memory"]["flash"]) == (0, {"bytes": 0, "ranges": 0, "first": [], "only_in": side})


def test_bad_input(checkpoint_file: Make, tmp_path: Path) -> None:
    path, empty = checkpoint_file(), tmp_path / "empty"
    empty.write_bytes(b"")
    assert "no checkpoint: neither" in refusal(gcpt("diff", path, empty))
    assert "No such file" in refusal(gcpt("diff", tmp_path / "none", path))
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-9])
    assert "cut: the file ends in the middle" in refusal(gcpt("diff", path, cut))
