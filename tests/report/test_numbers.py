"""Check each number on the pages against another source: the ELF file, the image, QEMU or the checkpoint."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from browser import Browser
from command import ENVIRONMENT, SCONS, gcpt, refusal
from elftools.elf.elffile import ELFFile

from gcpt.build import audit
from gcpt.build.audit import Linked
from gcpt.checkpoint import edits, output
from gcpt.checkpoint.places import DUAL_CORE, SINGLE_CORE, Checkpoint
from gcpt.isa.csrs import BY_NAME
from gcpt.machines import synthetic
from gcpt.machines.count import count
from gcpt.machines.qemu import Machine
from gcpt.machines.steps import Steps
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.report import restorer_page
from gcpt.restorer import packing
from gcpt.restorer.options import BY_NAME as OPTIONS
from gcpt.restorer.resolution import resolve

Report = Callable[..., Path]
SINGLE = {"mode": "single_core", "platform": "qemu-virt"}


def _number(text: str) -> int:
    return int(text.replace(",", ""), 0)


def _symbols(elf: Path) -> dict[str, int]:
    with elf.open("rb") as file:
        symbols = ELFFile(file).get_section_by_name(".symtab").iter_symbols()
        return {symbol.name: symbol["st_value"] for symbol in symbols}


def _listed(elf: Path, start: str, end: str) -> list[str]:
    """The instructions between two symbols, as objdump prints them."""
    where = _symbols(elf)
    command = ["riscv64-unknown-elf-objdump", "-d", "-M", "no-aliases", f"--start-address={where[start]}"]
    text = subprocess.run(
        [*command, f"--stop-address={where[end]}", elf], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(r"^ *[0-9a-f]+:\t([0-9a-f ]+\t.*)$", text, re.MULTILINE)


def _bytes(line: str) -> int:
    return len(line.split("\t")[0].replace(" ", "")) // 2


def _group_bytes(elf: Path) -> dict[str, int]:
    """Bytes by group: each csrrw or csrrs of an inventory CSR, and the load of its source register before it."""
    sizes: dict[str, int] = {}
    loaded: dict[str, int] = {}
    code = _listed(elf, "gcpt_skip_begin", "integer_registers") + _listed(elf, "gcpt_apart_begin", "gcpt_apart_end")
    for line in code:
        words = line.split("\t")
        operands = words[2].split(",") if len(words) > 2 else []
        if words[1] in ("ld", "c.ld", "c.ldsp"):
            loaded[operands[0]] = _bytes(line)
        if words[1] in ("csrrw", "csrrs") and operands[0] == "zero" and operands[2] != "zero":
            name, source = operands[1], operands[2]
            named = BY_NAME.get(name) or next(csr for csr in BY_NAME.values() if hex(csr.number) == name)
            sizes[named.group] = sizes.get(named.group, 0) + _bytes(line) + loaded.pop(source, 0)
        if words[1] == "vsetvl":
            sizes["v"] = sizes.get("v", 0) + _bytes(line) + sum(loaded.pop(one, 0) for one in operands[1:])
    return sizes


@pytest.mark.parametrize("options", [SINGLE, {}], ids=["single_core", "default"])
def test_bytes(browser: Browser, report: Report, options: dict[str, str]) -> None:
    folder = report(**options)
    elf, data = folder / "gcpt.elf", (folder / "gcpt.bin").read_bytes()
    browser.open(folder / "report.html")
    assert [_number(cell) for cell in browser.cells("#bytes")] == [len(data)]
    rows = [_number(cell) for cell in browser.cells("[data-phase] td:nth-of-type(1)")]
    assert sum(rows) == len(data)
    assert _number(browser.cells("#phases tfoot td")[0]) == len(data)
    assert sum(_number(cell) for cell in browser.cells("#symbols td:last-child")) == len(data)
    where = _symbols(elf)
    for phase, start, end in (
        ("float", "float_registers", "supervisor_csrs"),
        ("integer", "integer_registers", "leave"),
        ("timers", "timers", "way_out"),
    ):
        [cell] = browser.cells(f"[data-phase={phase}] td:nth-of-type(1)")
        assert _number(cell) == where[end] - where[start]
    groups = browser.cells("[data-group] th code")
    bytes_by_group = dict(zip(groups, map(_number, browser.cells("[data-group] td:nth-of-type(3)")), strict=True))
    assert bytes_by_group == _group_bytes(elf)
    written = dict(zip(groups, map(_number, browser.cells("[data-group] td:nth-of-type(1)")), strict=True))
    assert (written["f"], written["hpm3"], written["h"]) == (3, 1, 20)


def test_bytes_of_a_group_are_what_leaving_it_out_saves(report: Report, build_restorer, browser: Browser) -> None:
    """hpm3 is one CSR in reach of a base that other CSRs need: without it the code shrinks by the bytes on the page."""
    browser.open(report(**SINGLE) / "report.html")
    [cell] = browser.cells("[data-group=hpm3] td:nth-of-type(3)")
    sizes = []
    for options in ({}, {"csrs": "-hpm3"}):
        where = _symbols(build_restorer(**SINGLE, **options).folder / "gcpt.elf")
        sizes.append(where["gcpt_skip_end"] - where["gcpt_skip_begin"])
    assert sizes[0] - sizes[1] == _number(cell)


def test_instructions(browser: Browser, report: Report, tmp_path: Path) -> None:
    folder = report(**SINGLE, csrs="rva22")
    harts = synthetic.make(Recipe((Mode.S,), locks=False))
    pieces = [*synthetic.blocks(Checkpoint(SINGLE_CORE, harts.harts)), *harts.memory]
    memory = tmp_path / "memory"
    output.write_pieces(memory, [(address - DRAM, data) for address, data in pieces], 128 << 20)
    packing.place(memory, folder / "gcpt.bin")
    counted = count(memory, Machine(), {0: harts.harts[0].pc}, tmp_path)
    browser.open(folder / "report.html")
    assert [_number(cell) for cell in browser.cells("#instructions")] == [counted[0]]
    rows = dict(zip(browser.cells("[data-phase] th"), browser.cells("[data-phase] td:nth-of-type(3)"), strict=True))
    assert sum(_number(cell) for cell in rows.values() if cell != "-") == counted[0]
    # Code without jumps: each instruction is executed once.
    for phase, start, end in (
        ("float", "float_registers", "supervisor_csrs"),
        ("supervisor", "supervisor_csrs", "meeting"),
        ("integer", "integer_registers", "leave"),
    ):
        [cell] = browser.cells(f"[data-phase={phase}] td:nth-of-type(3)")
        assert _number(cell) == len(_listed(folder / "gcpt.elf", start, end))


def test_several_harts(browser: Browser, report: Report) -> None:
    """The default platform is not QEMU: the page shows a restorer for QEMU. One hart plans; the totals are the sums."""
    folder = report()
    browser.open(folder / "report.html")
    assert "with the same options but platform=qemu-virt" in browser.run(
        "return document.getElementById('phases').textContent"
    )
    plans = [_number(cell) for cell in browser.cells("[data-phase=plan] td.n")[1:]]
    assert sorted(plans)[0] == 0 and sorted(plans)[1] > 1000
    totals = [_number(cell) for cell in browser.cells("#phases tfoot td.n")[1:]]
    columns = [browser.cells(f"[data-phase] td:nth-of-type({column})") for column in (3, 5)]
    assert [sum(_number(cell) for cell in column if cell != "-") for column in columns] == totals
    assert [_number(cell) for cell in browser.cells("#instructions")] == [max(totals)]


def test_options_audit_and_stamp(browser: Browser, report: Report) -> None:
    folder = report(**SINGLE)
    browser.open(folder / "report.html")
    assert set(browser.cells("tr.given th code")) == {"mode=", "platform=", "build_dir="}
    names = {name.rstrip("=") for name in browser.cells("[data-option] th code")}
    assert names < set(OPTIONS) and "gcpt_payload" in names
    assert browser.cells("[data-option=harts] td.value") == ["128; 1 in mode=single_core"]
    rules = browser.run("return [...document.querySelectorAll('[data-rule]')].map(one => one.dataset.rule)")
    assert rules == [rule.__name__ for rule in audit.RULES]
    assert set(browser.cells("[data-rule] td")) == {"passed"}
    assert browser.cells("#passed") == [f"{len(rules)} of {len(rules)}"]
    rows = dict(zip(browser.cells("#build dt"), browser.cells("#build dd"), strict=True))
    facts = json.loads(gcpt("info", "--json", folder / "gcpt.bin").stdout)["restorer"]
    assert rows["commit"].startswith(facts["commit"].removesuffix("+dirty"))
    assert (rows["gcpt"], rows["stamped options"]) == (facts["version"], "mode=single_core platform=qemu-virt")
    compiler = subprocess.run(["riscv64-unknown-elf-gcc", "--version"], capture_output=True, text=True, check=True)
    assert rows["compiler"] == compiler.stdout.splitlines()[0]
    digest = subprocess.run(["sha256sum", folder / "gcpt.bin"], capture_output=True, text=True, check=True).stdout
    assert rows["SHA-256"] == digest.split()[0]


def test_a_violated_rule_is_shown(browser: Browser, report: Report, tmp_path: Path) -> None:
    folder = report(**SINGLE)
    other = resolve({**SINGLE, "exact": "1"})
    page = tmp_path / "page.html"
    with (folder / "gcpt.elf").open("rb") as file:
        linked = Linked(ELFFile(file), other)
        steps = Steps({0: {"reset": 1}}, 1, True)
        page.write_text(restorer_page.page(other, linked, folder / "gcpt.bin", steps, audit.check(linked), "none"))
    browser.open(page)
    assert browser.cells("[data-rule=stamped] td") == ["violated"]
    assert "not 0.1.0 {'mode': 'single_core'" in browser.cells("[data-rule=stamped] .bad")[0]
    assert browser.cells("#passed") == [f"{len(audit.RULES) - 1} of {len(audit.RULES)}"]


def test_second_run_rebuilds_nothing(report: Report) -> None:
    folder = report(**SINGLE)
    scons = [*SCONS, "report", "mode=single_core", "platform=qemu-virt"]
    run = subprocess.run(
        [*scons, f"build_dir={folder.parent}"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[REP]" not in run.stdout


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Three harts in 8 MiB, and data in pages that the test knows."""
    harts = synthetic.make(Recipe((Mode.VS, Mode.M, Mode.U), harts=3)).harts
    pieces = [(address - DRAM, data) for address, data in synthetic.blocks(Checkpoint(DUAL_CORE, harts))]
    pieces += [(0x70_0FFF, b"\x01\x01"), (0x7F_FFFF, b"\x01")]
    path = tmp_path / "ckpt.gz"
    output.write(path, edits.patched((bytes(1 << 20) for _ in range(8)), pieces), "gzip")
    return path


def test_checkpoint(browser: Browser, checkpoint: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert gcpt("info", checkpoint, "--html", page).stdout == f"{page}: {page.stat().st_size:,} bytes\n"
    browser.open(page)
    raw = tmp_path / "raw"
    with raw.open("wb") as file:
        subprocess.run(["gzip", "-dc", checkpoint], stdout=file, check=True)
    data = raw.read_bytes()
    filled = [at for at in range(0, len(data), 4096) if data[at : at + 4096].strip(b"\0")]
    assert [_number(cell) for cell in browser.cells("#filled")] == [len(filled)]
    assert browser.cells("#length") == ["8 MiB"] and browser.cells("#harts") == ["3"]
    # 2048 pages: one per cell, 128 cells per row.
    drawn = browser.run(
        "return [...document.querySelectorAll('.pages rect:not(.ground)')].map("
        "one => ['x', 'y', 'width'].map(name => Number(one.getAttribute(name))))"
    )
    assert sorted(128 * y + x + i for x, y, width in drawn for i in range(width)) == [at // 4096 for at in filled]
    for hart in range(3):
        facts = json.loads(gcpt("info", checkpoint, "--json", "--hart", str(hart)).stdout)
        summary = browser.cells(f"#summary tbody tr:nth-of-type({hart + 1}) td")
        one = facts["harts"][hart]
        assert summary[:2] == [hex(one["pc"]), one["mode"]] and summary[-2:] == [
            hex(one["mtime"]),
            hex(one["mtimecmp"]),
        ]
        registers = browser.cells(f"#registers details:nth-of-type({hart + 1}) tbody td, "
                                  f"#registers details:nth-of-type({hart + 1}) tbody th")  # fmt: skip
        for name, value in facts["registers"].items():
            if name == "pc":
                continue
            at = registers.index(name)
            assert registers[at + 1] == (hex(value) if isinstance(value, int) else value), name
    mstatus = browser.cells("#registers details:nth-of-type(2) td.decoded")
    assert any("MPP=" in one and "FS=Dirty" in one for one in mstatus)


def test_embedded_restorer(browser: Browser, checkpoint: Path, build_restorer, tmp_path: Path) -> None:
    raw, page = tmp_path / "raw", tmp_path / "page.html"
    output.unpack(checkpoint, raw)
    built = build_restorer(mode="dual_core", platform="qemu-virt")
    packing.place(raw, built.image)
    assert gcpt("info", raw, "--html", page).returncode == 0
    browser.open(page)
    [part] = [part for part in browser.parts() if part["name"].startswith("restorer: ") and "Image," in part["map"]]
    assert part["size"] == pytest.approx(built.size / (8 << 20), rel=1e-9)
    assert part["height"] == pytest.approx(built.size / (8 << 20), abs=1e-5)
    assert "mode=dual_core platform=qemu-virt" in dict(
        zip(browser.cells("#file dt"), browser.cells("#file dd"), strict=True)
    )["restorer"]  # fmt: skip


def test_flash_pair(shared_file: Callable[[str], Path], browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    memory, flash = (shared_file(f"checkpoints/nemu-flash-s-sv39-nov.{kind}.gz") for kind in ("mem", "flash"))
    assert gcpt("info", memory, "--flash", flash, "--html", page).returncode == 0
    browser.open(page)
    assert browser.said() == [] and any("Flash image" in part["map"] for part in browser.parts())


def test_refused_html_leaves_the_old_page(checkpoint: Path, build_restorer, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")
    before = checkpoint.read_bytes()
    assert "remove --hart and --json" in refusal(gcpt("info", checkpoint, "--html", page, "--json"))
    (link := tmp_path / "link.html").hardlink_to(checkpoint)
    assert "is also FILE" in refusal(gcpt("info", checkpoint, "--html", link))
    link.unlink()
    assert "No such file" in refusal(gcpt("info", checkpoint, "--html", tmp_path / "nowhere/page.html"))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(before[:-2000])
    assert str(cut) in refusal(gcpt("info", cut, "--html", page))
    restorer = build_restorer(**SINGLE).image
    assert "scons report makes the page of a restorer" in refusal(gcpt("info", restorer, "--html", page))
    assert page.read_text() == "before" and checkpoint.read_bytes() == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["ckpt.gz", "cut.gz", "page.html"]


def test_large_image_in_little_memory(tmp_path: Path) -> None:
    """6 GiB with data in every 16th MiB: less than 200 MiB resident, as the kernel counts."""
    harts = synthetic.make(Recipe(harts=2)).harts
    pieces = [(address - DRAM, data) for address, data in synthetic.blocks(Checkpoint(DUAL_CORE, harts))]
    pieces += [(at << 20, b"\x01" * 0x8000) for at in range(16, 6 << 10, 16)]
    path = tmp_path / "big"
    output.write_pieces(path, pieces, 6 << 30)
    program = (
        "import re, sys; from gcpt.cli import main; status = main(sys.argv[1:]);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr); sys.exit(status)"
    )
    command = [sys.executable, "-c", program, "info", path, "--html", tmp_path / "page.html"]
    run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert int(run.stderr) < 200 << 10
    text = (tmp_path / "page.html").read_text()
    assert f"of {6 << 18:,} pages" in text and "2 MiB, a row 256 MiB" in text
