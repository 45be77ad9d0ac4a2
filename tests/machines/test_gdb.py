"""The gdb client's packets, against a stub on the other end of a socket."""

import contextlib
import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcpt.machines.gdb import Gdb, GdbError, GdbTimeoutError, _unescaped

FEATURES = {
    "target.xml": '<target><xi:include href="cpu.xml"/><xi:include href="csr.xml"/></target>',
    "cpu.xml": '<feature name="a"><reg name="zero" bitsize="64"/><reg name="pc" bitsize="64" regnum="32"/></feature>',
    "csr.xml": '<feature name="b"><reg name="sstatus" regnum="361"/><reg name="sie"/></feature>',
}


def _answer(packet: str) -> str:
    if packet.startswith("qXfer:features:read:"):
        _, _, _, annex, where = packet.split(":")
        offset, length = (int(number, 16) for number in where.split(","))
        part = FEATURES[annex][offset : offset + length]
        return ("m" if offset + length < len(FEATURES[annex]) else "l") + part
    fixed = {"qfThreadInfo": "m01,02", "qsThreadInfo": "l", "Hg01": "OK", "Hg02": "OK", "p20": "0*&80000000"}
    return fixed.get(packet, "E14" if packet[0] in "pP" else "")


def _serve(connection: socket.socket) -> None:
    """A stub that answers byte by byte, as a slow connection may."""
    data = b""
    while piece := connection.recv(1000):
        data += piece.replace(b"+", b"")
        while b"#" in data[:-2]:
            packet, _, data = data.partition(b"#")
            data = data[2:]
            answer = _answer(packet.lstrip(b"$").decode()).encode()
            for byte in b"+$%b#%02x" % (answer, sum(answer) & 255):
                connection.sendall(bytes([byte]))


@pytest.fixture
def gdb() -> Gdb:
    ours, theirs = socket.socketpair()
    threading.Thread(target=_serve, args=(theirs,), daemon=True).start()
    return Gdb(ours)


def test_threads_and_numbers(gdb: Gdb) -> None:
    assert gdb.threads == ["01", "02"]
    assert gdb.numbers == {"zero": 0, "pc": 32, "sstatus": 361, "sie": 362}
    assert gdb.csr_number(0x300) == 361 + 0x200


def test_run_length_is_expanded(gdb: Gdb) -> None:
    assert gdb.read(1, "pc") == bytes.fromhex("000000000080000000")


def test_absent_csr_is_none(gdb: Gdb) -> None:
    assert gdb.read_csr(0, 0x7C0) is None
    assert not gdb.write_csr(0, 0x7C0, 1)


def test_refusals_are_errors(gdb: Gdb) -> None:
    with pytest.raises(GdbError, match="answers E14"):
        gdb.read(0, "sie")
    with pytest.raises(GdbError, match="answers nothing"):
        gdb.set_breakpoint(0x8000_0000)


def test_nothing_stops_in_time(gdb: Gdb) -> None:
    with pytest.raises(GdbTimeoutError, match=r"within 0\.1 s"):
        gdb.wait_stop(0.1)


def test_unescaped() -> None:
    assert _unescaped(b"a}\x03b}]c") == b"a#b}c"
    assert _unescaped(b"0* 1") == b"00001"


_HEX = st.binary(max_size=9).map(bytes.hex)
_ANSWERS = st.one_of(
    st.sampled_from(
        ["OK", "", "E14", "l", "m", "m01,02", "T05thread:02;", "S05", "T05thread:7;", "T05thread:x;", "0*"]
    ),
    st.sampled_from(["l" + FEATURES["target.xml"], "l" + FEATURES["cpu.xml"], 'l<a><reg name="sstatus"/></a>', "l<a>"]),
    _HEX,
    st.text(st.characters(max_codepoint=255, exclude_characters="#$"), max_size=12),
)


@given(st.lists(_ANSWERS, max_size=14))
@settings(deadline=None)
def test_any_answers_are_read_or_refused(answers: list[str]) -> None:
    """A stub that sends arbitrary packets and then closes the connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(b"+$%b#00" % answer.encode("latin-1") for answer in ["", *answers]))
        theirs.shutdown(socket.SHUT_WR)
        with contextlib.suppress(GdbError):
            gdb = Gdb(ours)
            for ask in (lambda: gdb.read_csr(0, 0x300), lambda: gdb.read_memory(0x8000_0000, 8), lambda: gdb.step(0)):
                with contextlib.suppress(GdbError):
                    ask()


@pytest.mark.parametrize("data", [b"}", b"a*", b"*$"])
def test_cut_short(data: bytes) -> None:
    with contextlib.suppress(GdbError):
        assert _unescaped(data) == b""
