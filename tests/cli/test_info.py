"""``gcpt info``: checkpoints in every layout, restorers, images with an embedded restorer."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from command import ENVIRONMENT, gcpt, on_terminal, refusal

from gcpt import __version__
from gcpt.checkpoint import edits, output, streams
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint
from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import synthetic
from gcpt.machines.restores import PLACES
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer import packing

Make = Callable[..., Path]


def _info(*arguments: object) -> dict:  # type: ignore[type-arg]
    run = gcpt("info", "--json", *map(str, arguments))
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", sorted(PLACES))
def test_layouts(checkpoint_file: Make, mode: str) -> None:
    place = PLACES[mode]
    harts = 1 if mode == "single_core" else 3
    info = _info(checkpoint_file(Recipe((Mode.S, Mode.M, Mode.VU), harts=harts), place))
    assert (info["layout"], info["base"], info["container"]) == (place.kind.value, place.base, "zstd")
    assert [hart["mode"] for hart in info["harts"]] == ["S", "M", "VU"][:harts]
    assert ("header" in info) == (mode == "normal")


def test_a_hart(checkpoint_file: Make) -> None:
    [state] = synthetic.make(Recipe((Mode.VS,), vlen=256)).harts
    path = checkpoint_file(Recipe((Mode.VS,), vlen=256))
    info = _info(path, "--hart", 0)
    [hart] = info["harts"]
    assert (hart["pc"], hart["vlen"], hart["mtime"], hart["mtimecmp"]) == (state.pc, 256, state.mtime, state.mtimecmp)
    assert {"Sv39": 8, "Sv48": 9, "Sv57": 10, "Bare": 0}[hart["vsatp"]] == state.get("vsatp") >> 60
    registers = info["registers"]
    assert [registers.get(name, 0) for name in ("x5 (t0)", "f31", "mscratch")] == [
        *(state.x[5], state.f[31], state.get("mscratch")),
    ]
    assert registers["v7"] == state.v[7][::-1].hex()
    assert 0 not in registers.values()
    everything = _info(path, "--hart", 0, "--all")["registers"]
    assert everything["x0 (zero)"] == 0 and set(registers) < set(everything)
    text = gcpt("info", path, "--hart", "0").stdout
    assert f"mscratch  {state.get('mscratch'):#x}" in " ".join(text.split()).replace(" 0x", "  0x")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_values_stay_whole_on_a_terminal(checkpoint_file: Make, columns: int) -> None:
    """As a table or as blocks, each value from JSON is one word; only a line with a single value exceeds the width."""
    path = checkpoint_file(Recipe((Mode.VS, Mode.M), harts=2), DUAL_CORE)
    text = on_terminal(columns, "info", path, "--hart", "1").stdout
    info = _info(path, "--hart", 1)
    words = text.split()
    wanted = [
        hex(hart[name]) for hart in info["harts"] for name in ("pc", "mtime", "mtimecmp", "stimecmp", "vstimecmp")
    ]
    wanted += ["vsatp", "hgatp", "enabled", "pending", "vstimecmp", *(hart["isa"] for hart in info["harts"])]
    wanted += [value if isinstance(value, str) else hex(value) for value in info["registers"].values()]
    assert not [value for value in wanted if value not in words]
    assert not [line for line in text.splitlines()[2:] if len(line) > columns and len(line.split()) > 2]
    header = [line for line in text.splitlines() if {*line.split()} >= {"hart", "pc", "mode", "pending"}]
    assert len(header) == (columns == 200)


def test_fields_of_a_hart(checkpoint_file: Make) -> None:
    def change(harts: list[HartState]) -> None:
        harts[0].set("mcause", 1 << 63 | 5)
        harts[0].set("mseccfg", 0)

    path = checkpoint_file(change=change)
    info = _info(path, "--hart", 0)["fields"]
    code, interrupt = info["mcause"]
    assert code == {"name": "code", "bits": "62:0", "value": 5, "words": "STI"}
    assert (interrupt["name"], interrupt["value"]) == ("interrupt", 1)
    assert "mseccfg" not in info and "mscratch" not in info
    assert {field["value"] for field in _info(path, "--hart", 0, "--all")["fields"]["mseccfg"]} == {0}
    [line] = [line for line in gcpt("info", path, "--hart", "0").stdout.splitlines() if line.startswith("mcause")]
    assert line.split(maxsplit=2) == ["mcause", "0x8000000000000005", "code=STI, interrupt"]


def test_stale_layouts(tmp_path: Path, checkpoint_file: Make) -> None:
    """The output lists all layouts; the first is the choice of mode=auto, and its harts are shown."""
    one = checkpoint_file()
    assert [layout["auto"] for layout in _info(one)["layouts"]] == [True]
    assert "layouts: " not in gcpt("info", one).stdout
    both = tmp_path / "both"
    output.write(
        both, edits.patched(streams.chunks(one), [(address - DRAM, data) for address, data in _blocks()]), "raw"
    )
    info = _info(both)
    layouts = [(place["layout"], place["base"], place["mode"], place["auto"]) for place in info["layouts"]]
    assert layouts == [("dual_core", 3 << 20, "dual_core", True), ("single_core", 0, "single_core", False)]
    assert info["layout"] == "dual_core"
    assert "single_core at 0x0 (mode=single_core); mode=auto restores the first" in gcpt("info", both).stdout


def test_restorers(build_restorer: Callable[..., object], checkpoint_file: Make, tmp_path: Path) -> None:
    built = build_restorer(mode="single_core", platform="qemu-virt")
    info = _info(built.image)["restorer"]  # type: ignore[attr-defined]
    assert info["options"] == {"mode": "single_core", "platform": "qemu-virt"}
    assert (info["version"], info["size"]) == (__version__, built.size)  # type: ignore[attr-defined]
    assert _info(built.folder / "gcpt.elf")["restorer"] == info  # type: ignore[attr-defined]
    raw = tmp_path / "raw"
    output.unpack(checkpoint_file(), raw)
    packing.place(raw, built.image)  # type: ignore[attr-defined]
    both = _info(raw)
    assert both["restorer"] == info and both["layout"] == "single_core"
    assert "mode=single_core platform=qemu-virt" in gcpt("info", raw).stdout


@pytest.mark.parametrize("container", ["raw", "zstd", "gzip"])
def test_large_image_is_read_up_to_its_state(tmp_path: Path, container: str) -> None:
    """Of 16 GiB (raw) or 64 MiB of noise (compressed) info reads a few MiB, as the kernel counts."""
    path = tmp_path / "big"
    pieces = [(address - DRAM, data) for address, data in _blocks()]
    if container == "raw":
        output.write_pieces(path, pieces, 16 << 30)
    else:
        noise = os.urandom(1 << 20)
        after = (noise for _ in range(64))
        start = list(edits.patched((bytes(1 << 20) for _ in range(8)), pieces))
        output.write(path, (chunk for part in (start, after) for chunk in part), container)
    program = (
        "import sys; from gcpt.cli import main; main(sys.argv[1:]);"
        "print(open('/proc/self/io').read().split()[1], file=sys.stderr)"
    )
    read = {}
    for name, arguments in {"nothing": ["completion", "bash"], "info": ["info", str(path)]}.items():
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], env=ENVIRONMENT, capture_output=True, text=True, check=True
        )
        read[name] = int(done.stderr)
    assert read["info"] - read["nothing"] < 16 << 20


def _blocks() -> list[tuple[int, bytes]]:
    return synthetic.blocks(Checkpoint(DUAL_CORE, synthetic.make(Recipe(harts=2)).harts))


def test_bad_input(tmp_path: Path, checkpoint_file: Make) -> None:
    nothing, elf = tmp_path / "nothing", tmp_path / "elf"
    nothing.write_bytes(b"text")
    elf.write_bytes(b"\x7fELF" + bytes(100))
    path = checkpoint_file(place=SINGLE_CORE)
    assert "no checkpoint: neither a protobuf header" in refusal(gcpt("info", nothing))
    assert "elf: " in refusal(gcpt("info", elf))
    assert refusal(gcpt("info", path, "--hart", "1")) == f"{path}: no hart 1: the file has 1 hart, numbered from 0"
    assert "--all needs the registers of a hart" in refusal(gcpt("info", path, "--all"))


@pytest.mark.parametrize(
    ("harts", "count", "reserve", "name"),
    [(1, 0, True, "NEMU"), (1, 1, True, "QEMU"), (2, 0, True, "QEMU"), (1, 0, False, "unknown")],
)
def test_generator(checkpoint_file: Make, harts: int, count: int, reserve: bool, name: str) -> None:
    place = PLACES["normal"]
    place = place if reserve else replace(place, layout=replace(place.layout, csr_reserve=0))

    def change(states: list[HartState]) -> None:
        for state in states:
            state.count = count
            state.set("mstatus", state.get("mstatus") & ~mstatus.SIE | mstatus.SPIE)

    path = checkpoint_file(Recipe(harts=harts), place, change)
    generator = _info(path)["generator"]
    assert generator["name"] == name and generator["reason"]
    assert f"generator: {name} ({generator['reason']})" in gcpt("info", path).stdout
    codes = {finding["code"] for finding in json.loads(gcpt("validate", "--json", path).stdout)["findings"]}
    assert ("generator-unknown" in codes) == (name == "unknown")
