"""What the CSRs of a restored hart should read as, computed from its checkpoint."""

import pytest

from gcpt.checkpoint.state import HartState
from gcpt.isa import mstatus
from gcpt.machines import expectation, synthetic
from gcpt.machines.synthetic import Aliases, Mode, Recipe

_GROUPS = ("base", "f", "v", "h", "sstc", "vstimer", "envcfg")


def _wanted(**csrs: int) -> dict[str, int]:
    state = HartState(pc=0x8010_0000, mode=1, mtime=1000)
    for name, value in csrs.items():
        state.set(name, value)
    return expectation.expected_csrs(state, _GROUPS)


def test_parts_and_whole_are_the_same() -> None:
    forms = [synthetic.make(Recipe((Mode.U,), aliases=form)).harts[0] for form in Aliases]
    wanted = [expectation.expected_csrs(form, _GROUPS) for form in forms]
    assert wanted[0] == wanted[1] == wanted[2]


def test_views() -> None:
    wanted = _wanted(mie=0x1EEE, mideleg=0x1466, hideleg=0x044, mip=0x202, hvip=0x004)
    assert (wanted["sie"], wanted["hie"], wanted["vsie"]) == (0x022, 0x1444, 0x022)
    assert (wanted["mip"], wanted["sip"], wanted["hip"], wanted["vsip"]) == (0x206, 0x002, 0x004, 0x002)


def test_scountinhibit_is_a_view() -> None:
    wanted = _wanted(mcountinhibit=0xFFFF_FFFD, mcounteren=0x7, scountinhibit=0)
    assert wanted["scountinhibit"] == 5


def test_pending_timers_follow_their_compare_values() -> None:
    stce = 1 << 63
    assert _wanted(menvcfg=stce, stimecmp=1000)["mip"] == 0x20
    assert _wanted(menvcfg=stce, stimecmp=1001, mip=0x20)["mip"] == 0
    assert _wanted(menvcfg=0, stimecmp=0, mip=0x20)["mip"] == 0x20
    late = {"menvcfg": stce, "henvcfg": stce, "htimedelta": 50, "stimecmp": 1001}
    assert _wanted(**late, vstimecmp=1050)["hip"] == 0x40
    assert _wanted(**late, vstimecmp=1051)["hip"] == 0


def test_mstatus_after_mret_or_jump() -> None:
    nemu = HartState(pc=0x8010_0000, mode=3)
    nemu.set("mepc", nemu.pc)
    nemu.set("mstatus", mstatus.MPP | mstatus.MPIE)
    assert expectation.expected_csrs(nemu, _GROUPS)["mstatus"] == mstatus.MPIE | mstatus.MIE
    for name, value in (("mepc", 4), ("mstatus", mstatus.MPIE)):
        qemu = HartState(pc=0x8010_0000, mode=3, csr=list(nemu.csr))
        qemu.set(name, value)
        assert expectation.expected_csrs(qemu, _GROUPS)["mstatus"] == qemu.get("mstatus")


def test_sie_that_nemu_moved() -> None:
    """One hart with a count of 0: SIE comes from SPIE."""
    for count, wanted in ((0, mstatus.SIE), (1, 0)):
        state = HartState(pc=0x8010_0000, mode=1, count=count)
        state.set("mstatus", mstatus.SPIE | 1 << 11)
        assert expectation.expected_csrs(state, _GROUPS)["mstatus"] & mstatus.SIE == wanted


def test_explanations() -> None:
    state = HartState(pc=0, mode=1)
    assert expectation.explanation(state, "mideleg", 0x1444)
    assert not expectation.explanation(state, "mideleg", 0x1446)
    assert not expectation.explanation(state, "mnepc", 4)  # an mret needs no mnepc
    assert expectation.explanation(HartState(pc=4, mode=3), "mnepc", 4)
    assert expectation.explanation(state, "mip", 0x60)
    assert not expectation.explanation(state, "mip", 0x62)
    state.set("menvcfg", 1 << 63)
    assert not expectation.explanation(state, "mip", 0x20)
    assert expectation.explanation(state, "mip", 0x40)
    assert not expectation.explanation(state, "stimecmp", 1)
    last = (1 << 64) - 1
    assert expectation.explanation(state, "vstimecmp", last)
    assert not expectation.explanation(state, "vstimecmp", last - 1)
    assert not expectation.explanation(state, "vstimecmp", last, qemu=False)
    state.set("henvcfg", 1 << 63)
    assert not expectation.explanation(state, "vstimecmp", last)


@pytest.mark.parametrize(
    ("mode", "status", "due", "explained"),
    [
        pytest.param(3, 0, True, True, id="M"),
        pytest.param(1, mstatus.MPV, True, True, id="a guest, read after a trap"),
        pytest.param(1, 0, True, False, id="S, read there"),
        pytest.param(3, 0, False, False, id="not due"),
    ],
)
def test_sip_that_qemu_10_hides_from_m_mode(mode: int, status: int, due: bool, explained: bool) -> None:
    state = HartState(pc=0, mode=mode, mtime=1000)
    for name, value in {"menvcfg": 1 << 63, "stimecmp": 1000 if due else 1001, "mstatus": status}.items():
        state.set(name, value)
    assert bool(expectation.explanation(state, "sip", 0x20)) == explained
    assert not expectation.explanation(state, "sip", 0x22)
    assert not expectation.explanation(state, "mip", 0x20)
    assert not expectation.explanation(state, "sip", 0x20, qemu=False)


@pytest.mark.parametrize(
    ("name", "inhibited", "explained"), [("minstret", 1, True), ("minstret", 4, False), ("mie", 0, False)]
)
def test_counters_that_are_not_inhibited_go_on(name: str, inhibited: int, explained: bool) -> None:
    state = HartState(pc=4, mode=1)
    state.set("mcountinhibit", inhibited)
    assert bool(expectation.explanation(state, name, 0x232, qemu=False)) == explained


@pytest.mark.parametrize(("mip", "mvien", "explained"), [(2, 0, True), (0, 0, False), (2, 2, False)])
def test_mvip_shows_ssip_where_mvien_does_not_part_them(mip: int, mvien: int, explained: bool) -> None:
    state = HartState(pc=4, mode=1)
    state.set("mip", mip)
    state.set("mvien", mvien)
    assert bool(expectation.explanation(state, "mvip", 0x2)) == explained
    assert not expectation.explanation(state, "mvip", 0x202)
