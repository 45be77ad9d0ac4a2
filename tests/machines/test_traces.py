"""Counting the lines of QEMU's traces."""

from pathlib import Path

from gcpt.machines.count import count_lines, trace_options

TRACE = b"""\
Trace 0: 0x7f0000000100 [00000000/0000000000001000/0b02601b/ff000201] \n\
Trace 0: 0x7f0000000200 [00000000/0000000080000000/0b02601b/ff000201] \n\
Trace 1: 0x7f0000000200 [00000000/0000000080000000/0b02601b/ff000201] _start
Trace 0: 0x7f0000000300 [00000000/0000000080000004/0b02601b/ff000201] \n\
Trace 0: 0x7f0000000300 [00000000/00000000800ffffc/0b02601b/ff000201] \n\
Trace 0: 0x7f0000000300 [00000000/0000000080100000/0b02601b/ff000201] \n\
Stopped execution of TB chain before 0x7f0000000300 [0000000080000000] \n\
"""


def test_only_the_range_counts() -> None:
    assert count_lines(TRACE, 0x8000_0000, 0x8010_0000) == {0: 3, 1: 1}


def test_an_instruction_started_twice_counts_once() -> None:
    """Even with another hart's line in between, but not if it is executed again later."""
    line = "Trace {}: 0x7f0000000100 [00000000/00000000800000{:02x}/0b02601b/ff000201] \n"
    executed = [(0, 0), (0, 4), (1, 4), (0, 4), (0, 8), (0, 4)]
    trace = "".join(line.format(hart, offset) for hart, offset in executed).encode()
    assert count_lines(trace, 0x8000_0000, 0x8010_0000) == {0: 4, 1: 1}


def test_empty_trace() -> None:
    assert count_lines(b"", 0, 1 << 64) == {}


def test_options_by_version() -> None:
    assert trace_options((7, 2), Path("/t"))[0] == "-singlestep"
    assert trace_options((8, 0), Path("/t"))[0] == "-singlestep"
    assert trace_options((8, 1), Path("/t"))[:2] == ("-accel", "tcg,one-insn-per-tb=on")
    assert trace_options((10, 0), Path("/t"))[:2] == ("-accel", "tcg,one-insn-per-tb=on")
