"""From a linked restorer to the bytes that are loaded."""

from pathlib import Path

from elftools.elf.elffile import ELFFile


def loaded(path: Path) -> bytes:
    """What the segments of the ELF at ``path`` load, from the lowest physical address on; zeros between them."""
    with path.open("rb") as file:
        segments = [one for one in ELFFile(file).iter_segments("PT_LOAD") if one["p_filesz"]]
        pieces = [(int(one["p_paddr"]), one.data()) for one in segments]
    base = min(address for address, _ in pieces)
    image = bytearray(max(address + len(data) for address, data in pieces) - base)
    for address, data in pieces:
        image[address - base : address - base + len(data)] = data
    return bytes(image)
