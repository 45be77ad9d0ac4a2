"""Each byte of a restorer belongs to one piece, and each executed instruction to a phase."""

from collections import Counter
from itertools import pairwise

import pytest
from elftools.elf.elffile import ELFFile

from gcpt.build.audit import Linked
from gcpt.build.generated import FIRMWARE
from gcpt.machines.steps import by_phase
from gcpt.restorer import phases, sizes

OPTIONS = (
    {"mode": "single_core"},
    {"mode": "normal"},
    {"mode": "auto", "log": "debug", "display_cpu": "all", "selfcheck": "1"},
    {"mode": "dual_core", "harts": "2", "flash": "1", "ram": "0x80200000"},
    {"mode": "single_core", "platform": "spike"},
)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options.values()))
def test_pieces_are_the_image(build_restorer, options):
    restorer = build_restorer(**{"platform": "qemu-virt", **options})
    with (restorer.folder / "gcpt.elf").open("rb") as file:
        linked = Linked(ELFFile(file), restorer.config)
        pieces = sizes.pieces(linked)
        assert pieces[0].start == linked.base and pieces[-1].end == linked.end
        assert linked.end - linked.base == restorer.image.stat().st_size
        assert all(piece.end == after.start and piece.size > 0 for piece, after in pairwise(pieces))
        named = {piece.phase for piece in pieces}
        steps = {phase.key for phase in phases.PHASES if phase.step}
        assert steps - named == (set() if not restorer.config.direct else {"plan"})
        assert set(sizes.csr_groups(linked)) == set(restorer.config.csr_groups)


def test_instructions_have_the_phase_of_their_address():
    parts = [sizes.Piece("a", 0x100, 0x110, "reset"), sizes.Piece("b", 0x110, 0x118, "vector")]
    visited = Counter({0x100: 1, 0x10E: 2, 0x110: 3, 0x116: 4, 0x118: 5, 0xFFFF0: 6})
    assert by_phase(visited, parts) == {"reset": 3, "vector": 7, "leave": 11}


def test_every_symbol_of_a_phase_is_in_the_firmware():
    """A renamed label would silently become part of the code before it."""
    text = "".join(path.read_text() for path in FIRMWARE.rglob("*.[Shi]*"))
    missing = [symbol for phase in phases.PHASES for symbol in phase.symbols if f"\n{symbol}:" not in text]
    assert missing == []
