"""An image as text for Verilog's $readmemh: one word a line, highest byte first, and ``@`` with the index of a word
wherever zeros were left out.
"""

from collections.abc import Iterable
from typing import BinaryIO

#: Bytes of a word.
WIDTHS = (1, 2, 4, 8, 16, 32, 64)


def write(file: BinaryIO, pages: Iterable[tuple[int, bytes]], width: int, base: int = 0) -> int:
    """Write an image, of which ``pages`` (offset, bytes) are not zero, in words of ``width`` bytes; returns its length.

    base: the byte address of the image's start in the memory that reads it, a multiple of ``width``.
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
