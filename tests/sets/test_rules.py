"""What the logs of each simulator say, whatever its exit status."""

from dataclasses import replace
from pathlib import Path

import pytest

from gcpt.errors import UserError
from gcpt.sets.rules import RULES, Figure, Rules, check_patterns, judge, rules_for

_EMU_END = "Core 0: HIT GOOD TRAP at pc = 0x80000c\nCore-0 instrCnt = 2,000,005, cycleCnt = 1,000,010, IPC = 1.999985\n"
_EMU_GOOD = "HIT GOOD TRAP or EXCEEDING CYCLE/INSTR LIMIT"
_GEM5_END = "Exiting @ tick 20212200 because a thread reached the max instruction count\n"


@pytest.mark.parametrize(
    ("tool", "log", "status", "cause"),
    [
        ("emu", _EMU_END, 0, ""),
        ("emu", _EMU_END, 1, ""),
        ("emu", "\x1b[34mEXCEEDING CYCLE/INSTR LIMIT at pc = 0x0\x1b[0m\n", 0, ""),
        ("emu", "ABORT at pc = 0x80000000\n", 0, "log"),
        ("emu", "FATAL: no such file\n", 0, "log"),
        ("emu", "%Error: Verilog $stop\n", 0, "log"),
        ("emu", _EMU_END + "ABORT at pc = 0x80000000\n", 0, "log"),
        ("emu", "", 0, "silent"),
        ("emu", "loading the image\n", 0, "silent"),
        ("emu", "loading the image\n", -9, "silent"),
        ("gem5", _GEM5_END, 0, ""),
        ("gem5", _GEM5_END, 1, "status"),
        ("gem5", "panic: Difftest failed!\n", 0, "log"),
        ("gem5", "**** REAL SIMULATION ****\n", 0, "silent"),
        ("nemu", "nemu: HIT GOOD TRAP at pc = 0x80000000\n", 0, ""),
        ("nemu", "nemu: HIT GOOD TRAP at pc = 0x80000000\n", 1, "status"),
        ("nemu", "nemu: HIT CRITICAL ERROR at pc = 0x80000000\n", 0, "log"),
    ],
)
def test_verdicts(tool: str, log: str, status: int, cause: str, tmp_path: Path) -> None:
    figure = Figure("ten", "(10) of the log")
    (tmp_path / RULES[tool].out).write_text(log + "10 of the log\n")
    verdict = judge(replace(RULES[tool], figures=(figure,)), tmp_path, status)
    assert (verdict.cause, verdict.figures) == (cause, {"ten": 10})


def test_standard_error_is_a_log_too(tmp_path: Path) -> None:
    (tmp_path / "simulator_out.txt").write_text(_EMU_END)
    (tmp_path / "simulator_err.txt").write_text("before\nERROR: ABORT at pc 0x8\x1b[31m!\nafter\n")
    verdict = judge(RULES["emu"], tmp_path, 0)
    assert (verdict.cause, verdict.message) == ("log", "ERROR: ABORT at pc 0x8!")


def test_figures(tmp_path: Path) -> None:
    """The last match of the first log that has one; commas are between thousands."""
    (tmp_path / "simulator_out.txt").write_text("IPC = 0.5\n" + _EMU_END)
    figures = judge(RULES["emu"], tmp_path, 0).figures
    assert figures == {"instructions": 2_000_005, "cycles": 1_000_010, "ipc": 1.999985}
    (tmp_path / "m5out").mkdir()
    (tmp_path / "m5out/stats.txt").write_text(
        "simInsts 10 # warm-up\nsystem.cpu.ipc 0.1 # IPC\n"
        "simInsts 20 # rest\nsystem.cpu.numCycles 40 #\nsystem.cpu.ipc 0.5 #\n"
    )
    (tmp_path / "log.txt").write_text(_GEM5_END)
    assert judge(RULES["gem5"], tmp_path, 0).figures == {"instructions": 20, "cycles": 40, "ipc": 0.5}


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("/opt/xs/build/emu", "emu"),
        ("./kunminghu-emu", "emu"),
        ("gem5.opt", "gem5"),
        ("build/riscv64-nemu-interpreter", "nemu"),
        ("qemu-system-riscv64", None),
        ("emulator", None),
    ],
)
def test_programs(program: str, name: str | None) -> None:
    rules = rules_for(program)
    assert (rules.name if rules else None) == name


def test_patterns_that_are_none() -> None:
    with pytest.raises(UserError, match="not a regular expression"):
        check_patterns(Rules("own", good=("(",)))
    with pytest.raises(UserError, match="no group"):
        check_patterns(Rules("own", figures=(Figure("ipc", "IPC"),)))


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (b"ABORT at pc = 1\nmore\n", "ABORT at pc = 1"),
        (b"before\nABORT at pc = 1", "ABORT at pc = 1"),
        (b"before\nABORT at pc = 1\n\n\n", "ABORT at pc = 1"),
        (b"ABORT at pc = 1\nFATAL: 2\nABORT at pc = 3\n", "ABORT at pc = 1"),
        (b"\n\xff\x07 ABORT at pc\n", "\ufffd\\x07 ABORT at pc"),
        (b"a " * 150 + b"FATAL: 1\n", ("a " * 100).strip()),
    ],
)
def test_the_line_that_says_it(log: bytes, message: str, tmp_path: Path) -> None:
    """The whole line of the first match, as a terminal can show it."""
    (tmp_path / "simulator_out.txt").write_bytes(log)
    assert judge(RULES["emu"], tmp_path, 0).message == message


def test_an_empty_line_says_it(tmp_path: Path) -> None:
    """A verdict is never lost because its line has nothing to show."""
    (tmp_path / "simulator_out.txt").write_text("a\n\nb\n")
    assert judge(Rules("own", bad=("^$",)), tmp_path, 0).message == "an empty line"
    assert judge(Rules("own", good=("^$",)), tmp_path, 1).cause == ""


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e999", "x"])
def test_a_figure_that_is_no_number(text: str, tmp_path: Path) -> None:
    """The point has no such figure: no score is computed with it, and no JSON has it."""
    (tmp_path / "simulator_out.txt").write_text(f"done, time: {text}\n")
    (tmp_path / "simulator_err.txt").write_text("time: 5\n")
    rules = Rules("own", good=("done",), figures=(Figure("time", r"time: (\S+)"),))
    assert judge(rules, tmp_path, 0).figures == {"time": 5}
    (tmp_path / "simulator_err.txt").write_text("")
    assert judge(rules, tmp_path, 0).figures == {}


@pytest.mark.parametrize(
    ("tool", "log", "status", "message"),
    [
        ("emu", "", -9, f"it ended with signal 9, without {_EMU_GOOD} in simulator_out.txt"),
        ("emu", "", 0, f"it ended with status 0, without {_EMU_GOOD} in simulator_out.txt"),
        ("gem5", _GEM5_END, 3, "it ended with status 3"),
        ("nemu", "HIT GOOD TRAP", -11, "it ended with signal 11"),
        ("nemu", "HIT GOOD TRAP", 0, ""),
    ],
)
def test_how_it_ended(tool: str, log: str, status: int, message: str, tmp_path: Path) -> None:
    (tmp_path / RULES[tool].out).write_text(log)
    assert judge(RULES[tool], tmp_path, status).message == message


def test_what_is_a_rate() -> None:
    """Scores of rates are harmonic means."""
    rates = {(name, figure.name) for name, rules in RULES.items() for figure in rules.figures if figure.is_rate}
    assert rates == {("emu", "ipc"), ("gem5", "ipc")}
