"""The fields of CSRs, checked against the inventory and against literal values."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gcpt.isa import fields, mstatus
from gcpt.isa.csrs import BY_NAME
from gcpt.isa.fields import decode, fields_of, text

WORD = st.integers(0, (1 << 64) - 1)
NAMED = sorted({*fields.FIELDS, *fields.DEPENDENT})


def _decoded(name: str, value: int) -> dict[str, tuple[int, str]]:
    return {field.name: (field.value, field.words) for field in decode(name, value)}


def test_each_register_with_fields_is_in_the_inventory() -> None:
    assert set(NAMED) <= set(BY_NAME)
    assert not set(fields.FIELDS) & set(fields.DEPENDENT)


@settings(max_examples=30)
@given(WORD)
@example((1 << 64) - 1)
def test_each_bit_of_a_value_is_in_one_field(value: int) -> None:
    for name in NAMED:
        decoded = decode(name, value)
        assert sum(part.value << part.field.low for part in decoded) == value, name
        assert all(lower.field.high < higher.field.low for lower, higher in pairwise(decoded)), name
        assert len({part.name for part in decoded}) == len(decoded), name
        assert tuple(part.field for part in decoded if part.field.named) == fields_of(name, value)
        assert decode(BY_NAME[name].number, value) == decoded


def test_a_register_without_fields() -> None:
    assert decode("mscratch", 5) == decode(0x340, 5) == decode(0x7FF, 5) == []
    assert text("mscratch", 5) == text("mstatus", 0) == ""


@pytest.mark.parametrize(
    ("view", "register"), [("sstatus", "mstatus"), ("sie", "mie"), ("sip", "mip"), ("hie", "mie"), ("hip", "mip")]
)
def test_the_fields_of_a_view_are_fields_of_the_register(view: str, register: str) -> None:
    assert set(fields_of(view)) < set(fields_of(register))


@pytest.mark.parametrize(
    ("name", "bits"),
    [("SIE", mstatus.SIE), ("MPP", mstatus.MPP), ("MPRV", mstatus.MPRV), ("MPV", mstatus.MPV), ("VS", mstatus.VS)],
)
def test_the_fields_of_mstatus_agree_with_the_masks_of_the_tools(name: str, bits: int) -> None:
    [field] = [field for field in fields_of("mstatus") if field.name == name]
    assert (1 << field.width) - 1 << field.low == bits


@pytest.mark.parametrize(
    ("name", "value", "expected"),
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
def test_values(name: str, value: int, expected: str) -> None:
    assert text(name, value) == expected


def test_bits_outside_all_fields() -> None:
    assert _decoded("mstatus", 0xFE00_0001)["bits 31:25"] == (0x7F, "")
    assert "bits 31:25" not in _decoded("mstatus", 1)
