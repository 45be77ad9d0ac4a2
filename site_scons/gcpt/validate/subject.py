"""What the checks of ``gcpt validate`` examine and what they report: ``Subject`` and ``Finding``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gcpt.checkpoint.layouts import RESERVED_SIZE
from gcpt.checkpoint.places import Place
from gcpt.checkpoint.search import Location
from gcpt.checkpoint.state import HartState
from gcpt.restorer.codes import CODES
from gcpt.restorer.config import BuildConfig
from gcpt.validate.findings import BY_CODE, FindingKind, Severity

_SIGNALS = {code.name: code.number for code in CODES}


@dataclass(frozen=True)
class Finding:
    """One problem in one checkpoint.

    Attributes:
        kind: The kind of finding, with its meaning and remedy.
        what: The values in this checkpoint that caused it.
        hart: The hart it concerns; None if it concerns the whole checkpoint.
    """

    kind: FindingKind
    what: str
    hart: int | None = None

    @property
    def severity(self) -> Severity:
        """The severity of its kind."""
        return self.kind.severity

    @property
    def signal(self) -> int:
        """The code that the restorer ends the run with or prints; 0 if the restorer does not report the problem."""
        return _SIGNALS[self.kind.signal] if self.kind.signal else 0


def finding(code: str, what: str, hart: int | None = None) -> Finding:
    """Build a finding of the kind ``code``.

    Args:
        code: The code in the table of ``findings``.
        what: The values in this checkpoint that caused it.
        hart: The hart it concerns; None if it concerns the whole checkpoint.

    Returns:
        The finding.
    """
    return Finding(BY_CODE[code], what, hart)


@dataclass(frozen=True)
class Subject:
    """A checkpoint and the restorer and machine it is checked against; all addresses are physical.

    Attributes:
        config: Build options of the restorer.
        location: Where the blocks are, and the number of harts.
        base: Address of the image that holds the state.
        embedded: Size of the embedded restorer in bytes; 0 if the image has none.
        payload: Address of the embedded restorer's payload; 0 if it has none.
        size: Size of the memory image in bytes of content.
        container: Container of the memory image.
        marked: Harts whose blocks have the magic number, and such blocks right after them; empty if none needs it.
        counted: Number of harts in csr_reserve.
        places: All places that have a header or a magic number.
        harts: Restored harts by number.
        machine_harts: Harts of the machine; 0: as many as the checkpoint needs.
        contents: Bytes of the memory image by address, where the checks need them.
        pages: Pages of the memory image by address: those on the way from the pc and the stack pointer.
    """

    config: BuildConfig
    location: Location
    base: int
    embedded: int
    payload: int
    size: int
    container: str
    marked: frozenset[int]
    counted: int
    places: list[Place]
    harts: dict[int, HartState]
    machine_harts: int
    contents: dict[int, bytes]
    pages: dict[int, bytes]

    @property
    def dram(self) -> int:
        """Address of the platform's DRAM."""
        return self.config.platform.dram

    @property
    def reserved(self) -> range:
        """Addresses of the reserved MiB, which belongs to the restorer."""
        start = self.config.load_address // RESERVED_SIZE * RESERVED_SIZE
        return range(start, start + RESERVED_SIZE)

    @property
    def pmp_entries(self) -> int:
        """How many PMP entries the restorer writes."""
        groups = self.config.csr_groups
        return 0 if "pmp16" not in groups else 64 if "pmp64" in groups else 16

    @property
    def memory(self) -> str:
        """Address range of the memory image, for messages."""
        return f"{self.dram:#x} to {self.dram + self.size:#x}"

    def block(self, hart: int) -> int:
        """Return the address of a hart's block.

        Args:
            hart: The hart.

        Returns:
            The physical address.
        """
        return self.base + self.location.place.block(hart)

    def state(self, hart: int) -> range:
        """Return the addresses that a hart's state occupies.

        Args:
            hart: A restored hart.

        Returns:
            The physical addresses from the first to the last restored field.
        """
        low, high = self.location.place.layout.span(self.location.harts, len(self.harts[hart].v[0]))
        return range(self.block(hart) + low, self.block(hart) + high)

    def holds(self, address: int, size: int = 1) -> bool:
        """Return whether ``size`` bytes at ``address`` are in the memory image, or may be in the platform's flash.

        Args:
            address: Physical address of the first byte.
            size: Number of bytes.

        Returns:
            Whether all of them are there.
        """
        flash = self.config.platform.flash
        in_flash = bool(flash) and flash <= address < flash + 2 * RESERVED_SIZE
        return in_flash or (self.dram <= address and address + size <= self.dram + self.size)

    def overwritten(self, address: int) -> bool:
        """Return whether the restorer or a hart's state occupies ``address``.

        Args:
            address: Physical address.

        Returns:
            Whether the workload's data there is lost.
        """
        return address in self.reserved or any(address in self.state(hart) for hart in self.harts)

    def empty(self, address: int, size: int) -> bool:
        """Return whether the image is known to hold only zeros in the ``size`` bytes at ``address``.

        Args:
            address: Physical address of the first byte.
            size: Number of bytes.

        Returns:
            False if the content is unknown.
        """
        return address in self.contents and not any(self.contents[address][:size])


#: A check of the whole checkpoint, and one of a single hart.
Check = Callable[[Subject], Iterator[Finding]]
HartCheck = Callable[[Subject, int, HartState], Iterator[Finding]]
