"""The fields of CSRs: the table against the inventory and against values written out here."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcpt.isa import fields, mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.isa.fields import decode, fields_of, text

WORD = st.integers(0, (1 << 64) - 1)
NAMED = sorted({*fields.FIELDS, *fields.DEPENDENT})


def _found(name: str, value: int) -> dict[str, tuple[int, str]]:
    return {one.name: (one.value, one.words) for one in decode(name, value)}


def test_the_table_is_of_the_inventory() -> None:
    assert set(NAMED) <= set(BY_NAME)
    assert not set(fields.FIELDS) & set(fields.DEPENDENT)


@settings(max_examples=30)
@given(WORD)
@example((1 << 64) - 1)
def test_fields_of_a_value_make_up_the_value(value: int) -> None:
    """Every bit is in one field: nothing is lost, nothing is said twice."""
    for name in NAMED:
        found = decode(name, value)
        assert sum(one.value << one.field.low for one in found) == value, name
        assert all(lower.field.high < higher.field.low for lower, higher in pairwise(found)), name
        assert len({one.name for one in found}) == len(found), name
        assert tuple(one.field for one in found if one.field.named) == fields_of(name, value)
        assert decode(BY_NAME[name].number, value) == found


def test_a_register_without_fields() -> None:
    assert decode("mscratch", 5) == decode(0x340, 5) == decode(0x7FF, 5) == []
    assert text("mscratch", 5) == text("mstatus", 0) == ""


@pytest.mark.parametrize(
    ("view", "whole"), [("sstatus", "mstatus"), ("sie", "mie"), ("sip", "mip"), ("hie", "mie"), ("hip", "mip")]
)
def test_views_have_the_fields_of_the_whole(view: str, whole: str) -> None:
    assert set(fields_of(view)) < set(fields_of(whole))


@pytest.mark.parametrize(
    ("name", "bits"),
    [("SIE", mstatus.SIE), ("MPP", mstatus.MPP), ("MPRV", mstatus.MPRV), ("MPV", mstatus.MPV), ("VS", mstatus.VS)],
)
def test_mstatus_agrees_with_the_masks_that_tools_use(name: str, bits: int) -> None:
    [found] = [one for one in fields_of("mstatus") if one.name == name]
    assert (1 << found.width) - 1 << found.low == bits


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("mstatus", 0xA00006AA3, "bit 0, SIE, SPIE, MPIE, VS=Initial, MPP=S, FS=Dirty, XS=Off, UXL=64, SXL=64"),
        ("satp", 8 << 60 | 3 << 44 | 0x80401, "PPN=0x80401000, ASID=3, MODE=Sv39"),
        ("hgatp", 9 << 60 | 3 << 44 | 0x80404, "PPN=0x80404000, VMID=3, MODE=Sv48x4"),
        ("mcause", 1 << 63 | 5, "code=STI, interrupt"),
        ("scause", 13, "code=load page fault"),
        ("pmpcfg2", 0x9D << 8 | 2, "pmp8cfg.W, pmp9cfg.R, pmp9cfg.X, pmp9cfg.A=NAPOT, pmp9cfg.L"),
        ("pmpaddr3", 0x2000_0000, "address=0x80000000"),
        ("mie", 0xAAA, "SSIE, MSIE, STIE, MTIE, SEIE, MEIE"),
        ("mtvec", 0x8000_0401, "MODE=Vectored, BASE=0x80000400"),
        ("vtype", 0xD1, "vlmul=m2, vsew=e32, vta, vma"),
        ("vcsr", 5, "vxsat, vxrm=rdn"),
        ("fcsr", 0x61, "NX, frm=RUP"),
        ("misa", 1 << 63 | 0x141101, "A, I, M, S, U, MXL=64"),
        ("medeleg", 0x104, "illegal instruction, ecall from U"),
        ("menvcfg", 0x8000_0000_0000_0031, "FIOM, CBIE=invalidate, PMM=off, STCE"),
        ("mcountinhibit", 0xD, "CY, IR, HPM3"),
        ("mstateen0", 1 << 63 | 1, "C, SE"),
        ("mseccfg", 7, "MML, MMWP, RLB, PMM=off"),
        ("mnstatus", 0x1808, "NMIE, MNPP=M"),
        ("tdata1", 6 << 60 | 0x44, "execute, m, match=equal, action=breakpoint, type=mcontrol6"),
        ("slvpredctl", 0x31, "LVPRED_DISABLE, LVPRED_TIMEOUT=3"),
        ("mhpmevent3", 1 << 62 | 0x11, "event=0x11, MINH"),
        ("hstatus", 2 << 32 | 0x180, "SPV, SPVP, VSXL=64, HUPMM=off"),
    ],
)
def test_values(name: str, value: int, wanted: str) -> None:
    assert text(name, value) == wanted


def test_bits_that_no_field_has() -> None:
    assert _found("mstatus", 0xFE00_0001)["bits 31:25"] == (0x7F, "")
    assert "bits 31:25" not in _found("mstatus", 1)
