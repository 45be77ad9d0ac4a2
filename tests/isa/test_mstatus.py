"""mstatus after an mret, and its SD bit."""

import pytest

from gcpt.isa import mstatus


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(0x1880, 0x88, id="M with MPIE: MIE and MPIE become 1, MPP becomes U"),
        pytest.param(0x1800, 0x80, id="M without MPIE: MIE becomes 0"),
        pytest.param(0x0800, 0x80, id="S"),
        pytest.param(0x0000 | mstatus.MPRV, 0x80, id="MPRV becomes 0 below M mode"),
        pytest.param(0x1800 | mstatus.MPRV, 0x80 | mstatus.MPRV, id="MPRV stays in M mode"),
        pytest.param(0x0800 | mstatus.MPV | mstatus.GVA, 0x80 | mstatus.GVA, id="MPV becomes 0, GVA stays"),
        pytest.param(mstatus.SSTATUS, mstatus.SSTATUS | 0x80, id="the bits of sstatus stay"),
    ],
)
def test_after_mret(before: int, after: int) -> None:
    assert mstatus.after_mret(before) == after


@pytest.mark.parametrize(
    ("value", "dirty"), [(0, False), (mstatus.FS, True), (mstatus.VS, True), (mstatus.XS, True), (0x2000, False)]
)
def test_sd(value: int, dirty: bool) -> None:
    assert mstatus.with_sd(value) == value | (mstatus.SD if dirty else 0)
    assert mstatus.with_sd(value | mstatus.SD) == mstatus.with_sd(value)
