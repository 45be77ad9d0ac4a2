"""Constraints on the tables: CSRs, error codes, and the tables in docs/."""

import pytest

from gcpt.build import render
from gcpt.checkpoint import layouts
from gcpt.dev import tables
from gcpt.isa import csrs
from gcpt.isa.csrs import INVENTORY, When
from gcpt.restorer import codes, platforms
from gcpt.restorer.resolution import resolve

POSITION = {csr.name: at for at, csr in enumerate(INVENTORY)}
#: Bytes of a name in the firmware's table of names, with its terminating zero.
_NAME_SIZE = 14


def test_each_csr_is_listed_once_and_its_group_exists() -> None:
    assert len(INVENTORY) == len({csr.number for csr in INVENTORY}) == len(POSITION)
    assert {csr.group for csr in INVENTORY} == set(csrs.GROUPS)
    assert all(0 <= csr.number < layouts.CSR_COUNT and len(csr.name) < _NAME_SIZE for csr in INVENTORY)
    assert all(csr.source for csr in INVENTORY)


def test_each_csr_is_listed_after_those_it_must_follow() -> None:
    violations = [(csr.name, name) for csr in INVENTORY for name in csr.after if POSITION[name] > POSITION[csr.name]]
    assert not violations


def test_no_csr_must_follow_one_of_a_later_phase() -> None:
    phases = [When.EARLY, When.TIMER, When.LOCK, When.LAST]
    written = [csr for csr in INVENTORY if csr.when in phases]
    for csr in written:
        for name in csr.after:
            assert phases.index(csrs.BY_NAME[name].when) <= phases.index(csr.when), (name, csr.name)


def test_aliases_name_a_written_csr_and_skipped_csrs_have_a_reason() -> None:
    for csr in INVENTORY:
        assert bool(csr.of) == (csr.when is When.ALIAS)
        assert not csr.of or csrs.BY_NAME[csr.of].when not in (When.ALIAS, When.NEVER)
        assert csr.when is not When.NEVER or csr.note


@pytest.mark.parametrize("platform", list(platforms.BY_NAME))
@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_each_selected_csr_is_written_once(platform: str, mode: str) -> None:
    config = resolve({"platform": platform, "mode": mode})
    text = render.csr_assembly(config)
    phases = (When.EARLY, When.TIMER, When.LOCK, When.LAST)
    expected = [csr.number for when in phases for csr in csrs.chosen(config.csr_groups, when)]
    handwritten = {csrs.BY_NAME[name].number for name in ("mseccfg", "mstatus", "mtvec", "mepc")}
    words = [
        word for line in text.splitlines() if "put_" in line or "merge_" in line for word in line.split("/*")[0].split()
    ]
    written = [int(word.strip(","), 16) for word in words if word.startswith("0x")]
    assert sorted(written) == sorted(set(expected) - handwritten)


def test_codes_count_from_one_and_stay_below_the_simulators_codes() -> None:
    assert [code.number for code in codes.CODES] == list(range(1, len(codes.CODES) + 1))
    assert codes.CODES[-1].number < 0x100
    assert len({code.name for code in codes.CODES}) == len(codes.CODES)


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_the_tables_in_docs_are_up_to_date(name: str) -> None:
    text = (tables.ROOT / tables.TABLES[name][0]).read_text()
    assert tables.filled(name, text) == text, "run python -m gcpt.dev.tables"
