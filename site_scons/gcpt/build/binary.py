"""The image of a linked restorer."""

from pathlib import Path

from elftools.elf.elffile import ELFFile


def loaded(path: Path) -> bytes:
    """Read the bytes that an ELF file's segments load.

    Args:
        path: The ELF file.

    Returns:
        The image from the lowest physical address on, with zeros between segments.
    """
    with path.open("rb") as file:
        segments = [segment for segment in ELFFile(file).iter_segments("PT_LOAD") if segment["p_filesz"]]
        pieces = [(int(segment["p_paddr"]), segment.data()) for segment in segments]
    base = min(address for address, _ in pieces)
    image = bytearray(max(address + len(data) for address, data in pieces) - base)
    for address, data in pieces:
        image[address - base : address - base + len(data)] = data
    return bytes(image)
