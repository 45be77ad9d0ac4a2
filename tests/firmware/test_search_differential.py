"""The restorer's search, compiled for the host, and the tools' (search.py, plan.py) agree on any image.

GCPT_FUZZ_CASES=N compares N images of each configuration instead of the usual few.
"""

import os
import struct
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gcpt.build import render
from gcpt.build.render import PLAN_FIELDS
from gcpt.checkpoint import header, search
from gcpt.checkpoint.header import Header
from gcpt.checkpoint.layouts import (
    CHECKPOINT_MAGIC,
    DEFAULT,
    HEADER_MAGIC,
    HEADER_VERSIONS,
    HEADER_WINDOW,
    HEADER_WINDOW_SIZE,
    MAX_HARTS,
    MIB,
    MULTI_CORE,
    MULTI_CORE_OFFSET,
)
from gcpt.checkpoint.places import DUAL_CORE, NEMU_BARE, SINGLE_CORE, Place
from gcpt.checkpoint.reader import Reader
from gcpt.checkpoint.search import HeaderError
from gcpt.restorer import codes, plan
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve

CASES = int(os.environ.get("GCPT_FUZZ_CASES", "100"))
CODES = {code.name: code.number for code in codes.CODES}
#: The codes of the findings about headers.
HEADER_CODES = {
    "header-undecodable": CODES["DECODE"],
    "header-version": CODES["VERSION"],
    "header-value": CODES["BAD_HEADER"],
}
#: The image offset of header_addr=.
ADDRESSED = 6 * MIB
#: A restorer of mode=single_core searches in C only if it prints; that of selfcheck=1 does not while it searches.
CONFIGS = {
    "normal": {"mode": "normal"},
    "auto": {"mode": "auto"},
    "dual_core": {"mode": "dual_core"},
    "single_core": {"mode": "single_core", "selfcheck": "1"},
    "header_addr": {"mode": "auto", "header_addr": f"{0x8000_0000 + ADDRESSED:#x}"},
    "few harts": {"mode": "auto", "harts": "4", "stop_cpu": "1"},
    "southlake": {"mode": "auto", "platform": "southlake"},
}
_WORD = 1 << 64
_PLAN = (*PLAN_FIELDS, *DEFAULT.items())

#: Bytes and their offset in the image; later pieces overwrite earlier ones.
Pieces = list[tuple[int, bytes]]


@dataclass(frozen=True)
class Image:
    """An image of ``length`` bytes, zero where no piece is; memory beyond it is zero too."""

    pieces: Pieces
    length: int = 256 * MIB

    def read(self, offset: int, size: int) -> bytes:
        """A Reader."""
        if offset < 0:
            return b""
        size = max(0, min(size, self.length - offset))
        data = bytearray(size)
        for at, piece in self.pieces:
            begin, end = max(at, offset), min(at + len(piece), offset + size)
            if begin < end:
                data[begin - offset : end - offset] = piece[begin - at : end - at]
        return bytes(data)

    def contents(self) -> Pieces:
        """The pieces as far as they are in the image."""
        return [(at, piece[: max(0, self.length - at)]) for at, piece in self.pieces]


#: What a search ends with: a code, or the plan's words by name.
Outcome = int | dict[str, int]


class FirmwareSearch:
    """A running host/search.c of one configuration."""

    def __init__(self, program: Sequence[str], config: BuildConfig) -> None:
        self._dram = config.platform.dram
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def run(self, pieces: Pieces, image_end: int) -> Outcome:
        assert self._process.stdin and self._process.stdout
        case = [struct.pack("=QQ", image_end, len(pieces))]
        case += [struct.pack("=QQ", self._dram + at, len(data)) + data for at, data in pieces]
        self._process.stdin.write(b"".join(case))
        self._process.stdin.flush()
        size = 8 * (1 + len(_PLAN))
        answer = self._process.stdout.read(size)
        assert len(answer) == size, f"the search ended with status {self._process.wait()}"
        code, *words = struct.unpack(f"={1 + len(_PLAN)}Q", answer)
        return code or dict(zip(_PLAN, words, strict=True))

    def close(self) -> None:
        self._process.communicate()


@dataclass(frozen=True)
class Sides:
    """The firmware's search and the configuration that the tools' takes."""

    config: BuildConfig
    firmware: FirmwareSearch


@pytest.fixture(scope="module")
def sides_of(host_program: Callable[..., object]) -> Iterator[Callable[[str], Sides]]:
    """Both searches of a configuration, by its name."""
    running: dict[str, Sides] = {}

    def start(name: str) -> Sides:
        if name not in running:
            config = resolve({"platform": "qemu-virt", **CONFIGS[name]})
            sources = [source for source in ("plan.c", "header.c", "decode.c") if source in render.sources(config)]
            window = config.load_address + HEADER_WINDOW
            program = host_program(
                "search",
                ["search.c"],
                "-no-pie",
                "-mcmodel=large",
                f"-Wl,--defsym=gcpt_header_window={window:#x}",
                config=config,
                firmware=sources,
            )
            running[name] = Sides(config, FirmwareSearch([str(program)], config))
        return running[name]

    yield start
    for sides in running.values():
        sides.firmware.close()


def _tools_outcome(read: Reader, config: BuildConfig, size: int | None) -> Outcome:
    """What the tools expect a restorer of ``size`` bytes to end its search with."""
    try:
        found = plan.find(read, config, size)
    except HeaderError as error:
        return HEADER_CODES[error.code]
    if found is None:
        return CODES["NO_CHECKPOINT"]
    if found.harts > config.harts:
        return CODES["HARTS"]
    if search.needs_marks(read, found.place) and not search.marked_harts(read, found.place, found.harts) >= set(
        range(found.harts)
    ):
        return CODES["UNMARKED"]
    uncounted = found.place.layout.csr_reserve and not search.written_count(read, found.place)
    return {
        "base": (config.platform.dram + found.place.base) % _WORD,
        "block_size": found.place.stride,
        "harts": found.harts,
        "restored": len(set(range(found.harts)) - set(config.stop_cpu)),
        "nemu": int(found.harts == 1 and uncounted),
        **found.place.layout.items(),
    }


def _packed(image: Image) -> Pieces:
    """The image with a restorer's window: a header at the very start moves there, as ``gcpt pack`` moves it."""
    start = image.read(0, header.MAX_SIZE)
    window = start if header.present(start) else bytes(HEADER_WINDOW_SIZE)
    return [*image.contents(), (0, bytes(HEADER_WINDOW)), (HEADER_WINDOW, window)]


def _agree(sides: Sides, image: Image) -> Outcome:
    """The outcome of both searches."""
    embedded = plan.embedded(image.read(0, MIB))
    size = embedded.size if embedded else None
    pieces = image.contents() if embedded else _packed(image)
    expected = _tools_outcome(image.read, sides.config, size)
    assert sides.firmware.run(pieces, plan.restorer_end(sides.config, size)) == expected
    return expected


def _restorer(size: int) -> tuple[int, bytes]:
    """The first bytes of a restorer: a jump and its size."""
    return 0, struct.pack("<II", 0x6F, size)


def _word(offset: int, value: int) -> tuple[int, bytes]:
    return offset, struct.pack("<Q", value)


def _blocks(place: Place, marked: Iterable[int], count: int = 0, magic: int = CHECKPOINT_MAGIC) -> Pieces:
    """The magic numbers of the blocks of ``marked`` harts, and the count in hart 0's."""
    pieces = [_word(place.block(hart) + place.layout.magic_number, magic) for hart in marked]
    return [*pieces, _word(place.block(0) + place.layout.csr_reserve, count)]


_COUNTS = st.one_of(st.sampled_from([0, 1, 2, 2, 2, 3, 4, 127, 128, 129, 1 << 63, _WORD - 1]), st.integers(0, 6))
_MARKED = st.one_of(
    st.sampled_from([1, 2, 3, 4, 5, 127, 128, 129]).map(range),
    st.sets(st.integers(1, 6), max_size=4).map(lambda others: {0} | others),
)
_MAGICS = st.sampled_from([CHECKPOINT_MAGIC] * 7 + [CHECKPOINT_MAGIC | 1 << 32, 0])
#: Distances from a header to blocks: right behind it, not aligned, over it, back to the image's start, far away.
_DISTANCES = st.sampled_from(
    [160, 172, 0, 64, _WORD - MIB, _WORD - 3 * MIB, _WORD - 2 * MIB, _WORD - 8 * MIB, MIB, 1 << 41, 1 << 63]
)
#: Rare values of a header's fields, most of them wrong.
_RARE = {
    "cpt_offset": _DISTANCES,
    "cpu_num": st.sampled_from([0, 5, 127, MAX_HARTS, MAX_HARTS + 1]),
    "single_core_size": st.sampled_from([MULTI_CORE.vector_reg_done + 8, MIB + 4, 8, 1 << 31]),
    "version": st.just(0),
    "magic_number": st.just(HEADER_MAGIC - 1),
}


@st.composite
def _header_pieces(draw: st.DrawFn, at: int) -> Pieces:
    """A header at byte ``at`` of the image, mostly a good one."""
    layout = draw(st.sampled_from([DEFAULT, MULTI_CORE]))
    if not draw(st.integers(0, 5)):
        field = draw(st.sampled_from(["pc", "csr_reg", "misc_reserve", "csr_reserve"]))
        layout = replace(layout, **{field: draw(st.sampled_from([0, 4, 64 * MIB, 1 << 30, 1 << 31]))})
    value = Header(168, draw(st.integers(1, 4)), MIB, draw(st.sampled_from(HEADER_VERSIONS)), layout=layout)
    for name in draw(st.lists(st.sampled_from(sorted(_RARE)), max_size=2)):
        value = replace(value, **{name: draw(_RARE[name])})
    data = header.encode(value)
    damage = draw(st.sampled_from([*[""] * 8, "cut", "byte"]))
    if damage == "cut":
        data = data[: draw(st.integers(0, len(data)))]
    elif damage == "byte":
        where = draw(st.integers(0, len(data) - 1))
        data = data[:where] + draw(st.binary(min_size=1, max_size=1)) + data[where + 1 :]
    mark = [] if draw(st.booleans()) else [_word((at + value.cpt_offset + layout.magic_number) % _WORD, 0xBEEF)]
    return [(at, data), *(piece for piece in mark if piece[0] < 128 * MIB)]


@st.composite
def _images(draw: st.DrawFn) -> Image:
    pieces: Pieces = []
    for place in (SINGLE_CORE, NEMU_BARE, DUAL_CORE):
        if draw(st.integers(0, 3)):
            pieces += _blocks(place, draw(_MARKED), draw(_COUNTS), draw(_MAGICS))
    for at in (0, HEADER_WINDOW, MULTI_CORE_OFFSET, ADDRESSED):
        if draw(st.booleans()):
            pieces += draw(_header_pieces(at))
    if draw(st.booleans()):
        pieces.append(_restorer(draw(st.sampled_from([8, 0x700, 0x3000, 0x8000, MIB, MIB + 8]))))
    ends = [256 * MIB] * 12 + [100, MULTI_CORE_OFFSET + 100, MULTI_CORE_OFFSET + 200, ADDRESSED]
    return Image(pieces, draw(st.sampled_from(ends)))


@pytest.mark.timeout(600 + 2 * CASES)
@pytest.mark.parametrize("name", CONFIGS)
def test_fuzz_images(sides_of: Callable[[str], Sides], name: str) -> None:
    sides = sides_of(name)

    @given(_images())
    @settings(max_examples=CASES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def compare(image: Image) -> None:
        _agree(sides, image)

    compare()


@pytest.mark.parametrize(
    ("count", "marked", "harts"),
    [
        (0, range(1), 1),
        (0, range(3), 1),
        (1, range(3), 1),
        (2, range(1), None),
        (2, range(5), 5),
        (2, (0, 2), None),
        (2, (0, 1, 3), 2),
        (2, range(129), 128),
        (3, range(1), None),
        (3, range(4), 3),
        (4, range(3), None),
        (128, range(128), 128),
        (128, range(127), None),
    ],
)
def test_counts(sides_of: Callable[[str], Sides], count: int, marked: Iterable[int], harts: int | None) -> None:
    """The count is the number of harts; 0 is 1 hart, and with 2 the marked blocks from the third on count too.

    None: a counted block has no magic number.
    """
    outcome = _agree(sides_of("dual_core"), Image(_blocks(DUAL_CORE, marked, count)))
    if harts is None:
        assert outcome == CODES["UNMARKED"]
    else:
        assert isinstance(outcome, dict)
        assert outcome["harts"] == harts


@pytest.mark.parametrize("count", [129, 1 << 63, _WORD - 1])
def test_counts_of_too_many(sides_of: Callable[[str], Sides], count: int) -> None:
    assert _agree(sides_of("dual_core"), Image(_blocks(DUAL_CORE, range(4), count))) == CODES["HARTS"]


_NEMU_HEADER = header.encode(Header(168, 1, MIB))
_QEMU_HEADER = header.encode(Header(168, 2, MIB, layout=MULTI_CORE))
_EVERYWHERE = [*_blocks(SINGLE_CORE, range(1)), *_blocks(NEMU_BARE, range(1)), *_blocks(DUAL_CORE, range(2), 2)]


@pytest.mark.parametrize(
    ("name", "pieces", "base"),
    [
        ("auto", [*_EVERYWHERE, (0, _NEMU_HEADER), (MULTI_CORE_OFFSET, _QEMU_HEADER)], 168),
        ("auto", [*_EVERYWHERE, (8, _NEMU_HEADER), (MULTI_CORE_OFFSET, _QEMU_HEADER), _restorer(0x3000)], 168),
        ("auto", [*_EVERYWHERE, (MULTI_CORE_OFFSET, _QEMU_HEADER)], MULTI_CORE_OFFSET + 168),
        ("auto", _EVERYWHERE, MULTI_CORE_OFFSET),
        ("auto", [*_blocks(SINGLE_CORE, range(1)), *_blocks(NEMU_BARE, range(1))], 0),
        ("auto", _blocks(NEMU_BARE, range(1)), 168),
        ("normal", _EVERYWHERE, 168),
        ("dual_core", [*_EVERYWHERE, (MULTI_CORE_OFFSET, _QEMU_HEADER)], MULTI_CORE_OFFSET),
        ("single_core", [*_EVERYWHERE, (MULTI_CORE_OFFSET, _QEMU_HEADER)], 0),
        ("header_addr", [(0, _NEMU_HEADER), (ADDRESSED, _QEMU_HEADER)], ADDRESSED + 168),
    ],
)
def test_order_of_places(sides_of: Callable[[str], Sides], name: str, pieces: Pieces, base: int) -> None:
    """Which place wins where there are several."""
    outcome = _agree(sides_of(name), Image(pieces))
    assert isinstance(outcome, dict)
    assert outcome["base"] == sides_of(name).config.platform.dram + base


def test_image_that_ends_in_a_header(sides_of: Callable[[str], Sides]) -> None:
    """Memory beyond it is zero, and a header ends with a zero byte."""
    data = header.encode(Header(_WORD - 2 * MIB, 1, MIB))
    end = MULTI_CORE_OFFSET + len(data) - 1
    assert isinstance(_agree(sides_of("auto"), Image([(MULTI_CORE_OFFSET, data)], end)), dict)


@pytest.mark.parametrize(
    ("name", "pieces", "code"),
    [
        ("auto", [], "NO_CHECKPOINT"),
        ("dual_core", _blocks(SINGLE_CORE, range(1)), "NO_CHECKPOINT"),
        ("auto", [*_EVERYWHERE, (MULTI_CORE_OFFSET, _QEMU_HEADER[:-1] + b"\x0f")], "DECODE"),
        ("auto", [(MULTI_CORE_OFFSET, header.encode(Header(168, 1, MIB, version=1)))], "VERSION"),
        ("auto", [(MULTI_CORE_OFFSET, header.encode(Header(172, 1, MIB)))], "BAD_HEADER"),
        ("auto", [(MULTI_CORE_OFFSET, header.encode(Header(168, 2, MIB + 4)))], "BAD_HEADER"),
        (
            "auto",
            [(MULTI_CORE_OFFSET, header.encode(Header(_WORD - 3 * MIB, 1, MIB, layout=MULTI_CORE)))],
            "BAD_HEADER",
        ),
        ("auto", [(MULTI_CORE_OFFSET, header.encode(Header(64, 1, MIB, layout=MULTI_CORE)))], "BAD_HEADER"),
        ("auto", [(MULTI_CORE_OFFSET, header.encode(Header(_WORD - MIB, 2, MIB, layout=MULTI_CORE)))], "BAD_HEADER"),
        ("few harts", [(MULTI_CORE_OFFSET, header.encode(Header(168, 5, MIB)))], "HARTS"),
    ],
)
def test_refusals(sides_of: Callable[[str], Sides], name: str, pieces: Pieces, code: str) -> None:
    assert _agree(sides_of(name), Image(pieces)) == CODES[code]
