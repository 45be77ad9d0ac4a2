"""Images as text for Verilog's $readmemh.

Each line has one word, highest byte first. A line with ``@`` and a word index follows each gap of zeros.
"""

from collections.abc import Iterable
from typing import BinaryIO

#: Sizes of a word in bytes.
WIDTHS = (1, 2, 4, 8, 16, 32, 64)


def write(file: BinaryIO, pages: Iterable[tuple[int, bytes]], width: int, base: int = 0) -> int:
    """Write an image as text for $readmemh.

    Args:
        file: The file, open for writing.
        pages: Offset and bytes of the pages that are not zero, and of the last page.
        width: Bytes of a word, one of WIDTHS.
        base: Address of the image's first byte in the Verilog memory, in bytes, a multiple of ``width``.

    Returns:
        The length of the image in bytes.
    """
    length = at = -1
    for offset, page in pages:
        if offset != at:
            file.write(b"@%x\n" % ((base + offset) // width))
        length = at = offset + len(page)
        padded = page.ljust(-(-len(page) // width) * width, b"\0")
        words = bytearray(len(padded))
        for byte in range(width):
            words[byte::width] = padded[width - 1 - byte :: width]
        file.write(words.hex("\n", width).encode() + b"\n")
    return max(length, 0)
