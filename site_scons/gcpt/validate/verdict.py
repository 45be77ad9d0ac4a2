"""Predict whether a checkpoint would restore on a platform and continue there; nothing is run.

The checks run in the order in which a restorer reaches their subjects: the first error with a signal is the one that
the restorer ends with.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gcpt.checkpoint import containers, search, streams
from gcpt.checkpoint.files import check_block
from gcpt.checkpoint.layouts import DEFAULT_VLEN, MAX_HARTS, PAYLOAD_OFFSET, RESERVED_SIZE
from gcpt.checkpoint.places import PlaceKind
from gcpt.checkpoint.reader import FileReader
from gcpt.checkpoint.search import HeaderError, Location
from gcpt.checkpoint.state import HartState, block_size, read_hart
from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME
from gcpt.restorer import plan
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.resolution import resolve
from gcpt.validate.extended_checks import check_extended
from gcpt.validate.findings import Severity
from gcpt.validate.image_checks import check_clocks, check_hart_count, check_image, check_overlaps
from gcpt.validate.leaving_checks import check_last_writes, check_leaving, check_vlen, is_possible_vlenb
from gcpt.validate.paging_checks import check_paging, read_pages
from gcpt.validate.pmp_checks import check_pmp
from gcpt.validate.pointer_checks import check_pc, check_translation, pointers
from gcpt.validate.register_checks import check_csrs, check_timers, check_vectors
from gcpt.validate.subject import Check, Finding, HartCheck, Subject, finding

#: The default of the build option ``platform=``.
_DEFAULT_PLATFORM = "xiangshan"

IMAGE_CHECKS: tuple[Check, ...] = (check_image, check_overlaps, check_hart_count)
HART_CHECKS: tuple[HartCheck, ...] = (
    *(check_vlen, check_extended, check_leaving, check_last_writes),
    *(check_pc, check_translation, check_paging, check_pmp, check_csrs, check_vectors, check_timers),
)


def check(subject: Subject) -> Iterator[Finding]:
    """Run all checks, each for every hart before the next.

    Args:
        subject: The checkpoint, its restorer and its machine.

    Yields:
        The findings in the order in which a restorer reaches their subjects.
    """
    for check_whole in IMAGE_CHECKS:
        yield from check_whole(subject)
    for check_hart in HART_CHECKS:
        for hart, state in subject.harts.items():
            yield from check_hart(subject, hart, state)
    yield from check_clocks(subject)


@dataclass(frozen=True)
class Report:
    """The result of ``validate``.

    Attributes:
        findings: In the order in which a restorer reaches their subjects.
        config: Build options of the restorer that the checkpoint was checked against.
        location: Where that restorer finds the blocks; None if it finds no checkpoint.
    """

    findings: list[Finding]
    config: BuildConfig
    location: Location | None

    def of(self, severity: Severity) -> list[Finding]:
        """Return the findings of one severity.

        Args:
            severity: The severity.

        Returns:
            Its findings, in order.
        """
        return [finding for finding in self.findings if finding.severity is severity]


def validate(
    path: Path,
    platform: str = "",
    machine_harts: int = 0,
    flash: Path | None = None,
    advance: Callable[[int], None] = lambda size: None,
) -> Report:
    """Check a checkpoint against its embedded restorer, or against one built for its layout.

    Args:
        path: The memory image.
        platform: The platform; by default that of the embedded restorer, or xiangshan.
        machine_harts: Harts of the machine; 0: as many as the checkpoint needs.
        flash: The flash image of a flash pair, which holds the state.
        advance: Called with the number of bytes of content after each chunk that was read.

    Returns:
        The findings.

    Raises:
        UserError: A file cannot be read, the platform has no flash, or the header leads outside any block.
    """
    read = FileReader(flash or path)
    embedded = plan.embedded(read(0, RESERVED_SIZE))
    platform_name = platform or _DEFAULT_PLATFORM
    early = []
    if embedded and not embedded.whole:
        early.append(finding("restorer-cut", f"its size word is {embedded.size:#x} bytes"))
    options = embedded.options if embedded else None
    if options is not None:
        config = plan.built_from(options)
        if platform and config.platform.name != platform:
            early.append(finding("other-platform", f"it is for {config.platform.name}, not {platform}"))
    elif flash:
        config = resolve({"mode": "single_core", "platform": platform_name, "flash": "1"})
    else:
        config = resolve({"mode": "auto", "platform": platform_name})
    try:
        location = plan.find(read, config, embedded.size if embedded and options is not None else None)
    except HeaderError as error:
        return Report([*early, finding(error.code, error.what)], config, None)
    if location is None:
        return Report([*early, finding("no-checkpoint", f"searched as mode={config.mode} does")], config, None)
    if options is None and not flash:
        config = resolve({"mode": plan.MODES[location.place.kind], "platform": platform_name})
    try:
        check_block(location.place.layout, min(location.harts, MAX_HARTS))
    except UserError as error:
        raise UserError(f"{flash or path}: {error}") from error
    harts, cut = _read_harts(read, location, config)
    if options is None:
        config = replace(config, extended=plan.has_extended(harts.values(), config.platform))
    sizes = {address: size for state in harts.values() for address, size in pointers(state)}
    length, contents = _scan(path, sizes, config.platform.dram, advance)
    marked: frozenset[int] = frozenset()
    if location.harts > 1 or location.place.kind is PlaceKind.DUAL_CORE:
        is_needed = search.needs_marks(read, location.place)
        marked = search.marked_harts(read, location.place, location.harts) if is_needed else marked
    subject = Subject(
        config=config,
        location=location,
        base=config.load_address,
        embedded=embedded.size if embedded else 0,
        payload=_payload(options or {}, config),
        size=length,
        container=containers.container_of(path),
        marked=marked,
        counted=0 if location.header else search.written_count(read, location.place),
        places=search.find_all(read),
        harts=harts,
        machine_harts=machine_harts,
        contents=contents,
        pages=read_pages(FileReader(path) if flash else read, config.platform.dram, harts.values()),
    )
    unmarked = [
        finding("magic-missing", "the magic number is missing", hart)
        for hart in harts
        if location.header and not marked and not search.is_marked(read, location.place, hart)
    ]
    return Report([*early, *cut, *unmarked, *check(subject)], config, location)


def _payload(options: dict[str, str], config: BuildConfig) -> int:
    """Return the address of an embedded restorer's payload, by its build options; 0 if it has none."""
    if "gcpt_payload" not in options:
        return 0
    return int(options.get("gcpt_payload_position", str(config.platform.dram + PAYLOAD_OFFSET)), 0)


def _read_harts(
    read: FileReader, location: Location, config: BuildConfig
) -> tuple[dict[int, HartState], list[Finding]]:
    """Return the restored harts whose blocks are complete, and a finding for each incomplete block."""
    layout, harts, cut = location.place.layout, {}, []
    for hart in range(min(location.harts, MAX_HARTS)):
        if hart in config.stop_cpu:
            continue
        start = location.place.block(hart)
        size = block_size(layout, hart + 1)
        block = bytearray(read(start, size) if start >= 0 else b"")
        offset = layout.csr(BY_NAME["vlenb"].number)
        vlenb = int.from_bytes(block[offset : offset + 8], "little")
        length = vlenb if is_possible_vlenb(vlenb) else DEFAULT_VLEN // 8
        if len(block) < layout.span(location.harts, length)[1]:
            cut.append(finding("block-cut", f"the block is at {start:#x} of the image", hart))
            continue
        block[offset : offset + 8] = length.to_bytes(8, "little")
        state = read_hart(block.ljust(size, b"\0"), layout, hart)
        state.set("vlenb", vlenb)
        harts[hart] = state
    return harts, cut


def _scan(path: Path, sizes: dict[int, int], dram: int, advance: Callable[[int], None]) -> tuple[int, dict[int, bytes]]:
    """Read a whole image once.

    Returns its length in bytes, and the content of each area of ``sizes`` (bytes by address) that is entirely in it.
    """
    contents = {address: bytearray() for address in sizes}
    position = dram
    for chunk in streams.chunks(path):
        for address, size in sizes.items():
            first, last = max(address, position), min(address + size, position + len(chunk))
            if first < last:
                contents[address] += chunk[first - position : last - position]
        position += len(chunk)
        advance(len(chunk))
    return position - dram, {address: bytes(data) for address, data in contents.items() if len(data) == sizes[address]}
