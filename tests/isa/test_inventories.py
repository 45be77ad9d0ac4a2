"""The tables keep what their readers rely on."""

import pytest

from gcpt.build import render
from gcpt.checkpoint import layouts
from gcpt.dev import tables
from gcpt.isa import csrs
from gcpt.isa.csrs import INVENTORY, When
from gcpt.restorer import codes, platforms
from gcpt.restorer.resolution import resolve

POSITION = {csr.name: at for at, csr in enumerate(INVENTORY)}
#: A name in the firmware's table of names, with its zero.
_NAME_SIZE = 14


def test_each_csr_stands_once_under_a_group_that_is_there() -> None:
    assert len(INVENTORY) == len({csr.number for csr in INVENTORY}) == len(POSITION)
    assert {csr.group for csr in INVENTORY} == set(csrs.GROUPS)
    assert all(0 <= csr.number < layouts.CSR_COUNT and len(csr.name) < _NAME_SIZE for csr in INVENTORY)
    assert all(csr.source for csr in INVENTORY)


def test_the_order_of_the_table_keeps_its_own_constraints() -> None:
    wrong = [(csr.name, name) for csr in INVENTORY for name in csr.after if POSITION[name] > POSITION[csr.name]]
    assert not wrong


def test_parts_are_written_in_the_order_of_the_restore() -> None:
    """A CSR may not have to follow one that a later part writes, whatever the table's order."""
    parts = [When.EARLY, When.TIMER, When.LOCK, When.LAST]
    written = [csr for csr in INVENTORY if csr.when in parts]
    for csr in written:
        for name in csr.after:
            assert parts.index(csrs.BY_NAME[name].when) <= parts.index(csr.when), (name, csr.name)


def test_aliases_name_what_is_written_and_what_is_never_written_says_why() -> None:
    for csr in INVENTORY:
        assert bool(csr.of) == (csr.when is When.ALIAS)
        assert not csr.of or csrs.BY_NAME[csr.of].when not in (When.ALIAS, When.NEVER)
        assert csr.when is not When.NEVER or csr.note


@pytest.mark.parametrize("platform", list(platforms.BY_NAME))
@pytest.mark.parametrize("mode", ["single_core", "auto"])
def test_every_chosen_csr_is_written_once(platform: str, mode: str) -> None:
    config = resolve({"platform": platform, "mode": mode})
    text = render.csr_assembly(config)
    parts = (When.EARLY, When.TIMER, When.LOCK, When.LAST)
    wanted = [csr.number for when in parts for csr in csrs.chosen(config.csr_groups, when)]
    by_hand = {csrs.BY_NAME[name].number for name in ("mstatus", "mtvec", "mepc")}
    words = [
        word for line in text.splitlines() if "put_" in line or "merge_" in line for word in line.split("/*")[0].split()
    ]
    written = [int(word.strip(","), 16) for word in words if word.startswith("0x")]
    assert sorted(written) == sorted(set(wanted) - by_hand)


def test_codes_count_from_one_and_stay_clear_of_the_simulators() -> None:
    assert [code.number for code in codes.CODES] == list(range(1, len(codes.CODES) + 1))
    assert codes.CODES[-1].number < 0x100
    assert len({code.name for code in codes.CODES}) == len(codes.CODES)


@pytest.mark.parametrize("name", list(tables.TABLES))
def test_the_pages_hold_the_tables(name: str) -> None:
    text = (tables.ROOT / tables.TABLES[name][0]).read_text()
    assert tables.filled(name, text) == text, "run python -m gcpt.dev.tables"
