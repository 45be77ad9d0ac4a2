"""The stamp of a restorer: version, commit and options of its build, in the bytes before its completeness flag.

    [commit: 4 bytes, 0 unknown][raw deflate of the text][check: 1 byte][bytes before the check: 1 byte][flag: 8 bytes]

The text is ``VERSION`` or ``VERSION+dirty``, then `` NAME=VALUE`` for each option that is not the default, with the
value percent-encoded. The check byte tells a stamp from the last bytes of a restorer without one.
"""

import re
import struct
import zlib
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

from gcpt.checkpoint.layouts import COMPLETE_FLAG, HEADER_WINDOW, RESERVED_SIZE
from gcpt.errors import UserError

#: The preset dictionary of deflate. It is part of the format and never changes, even if options change: published
#: images need it. Another dictionary is another format; the check byte covers the dictionary and tells them apart.
DICTIONARY = (
    b" header_addr=0x80300000 flash=1 ram=0x8"
    b" uart=htif clint=0x38000000 clint=0x2000000 uart=uartlite@0x40600000 clint=0x2000000 uart=16550@0x10000000"
    b" gcpt_payload=fw_payload.bin. gcpt_payload_position=0x80200000 gcpt_dtb= csrs=+hpm csrs=+sdtrig csrs=+smepmp"
    b" csrs=+counters exact=1 selfcheck=1 stop_cpu=0 stop_cpu=1 display_cpu=all harts=1 harts=2 harts=4 log=debug"
    b" log=info platform=spike platform=southlake platform=kmh-fpga platform=xiangshan-syscnt platform=qemu-virt"
    b"0.1.0+dirty mode=auto mode=dual_core mode=single_core platform=qemu-virt"
)
_FLAG = struct.pack("<Q", COMPLETE_FLAG)
_DIRTY = "+dirty"
_VERSION = re.compile(r"[0-9][0-9A-Za-z.]*")
_OPTION = re.compile(r"([a-z_]+)=([!-~]*)")
#: Characters of a value that are not percent-encoded.
_PLAIN = "@:,+./"
#: The largest value of the length byte.
_LONGEST = 255


@dataclass(frozen=True)
class Stamp:
    """The build of a restorer.

    Attributes:
        version: gcpt's version.
        commit: The first 8 hexadecimal digits of the commit; "" if unknown.
        dirty: Whether the sources differed from the commit.
        options: The options that are not the default; for a file, its name and a digest of its bytes replace the path.
    """

    version: str
    commit: str = ""
    dirty: bool = False
    options: dict[str, str] = field(default_factory=dict)


def _check(body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(DICTIONARY)) & 0xFF


def encode(stamp: Stamp) -> bytes:
    """Encode a stamp.

    Args:
        stamp: The stamp.

    Returns:
        The bytes to put before the flag, padded with zeros at the front to a multiple of 8.

    Raises:
        UserError: The options are too long.
    """
    words = [stamp.version + _DIRTY * stamp.dirty]
    words += [f"{name}={quote(value, safe=_PLAIN)}" for name, value in stamp.options.items()]
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=DICTIONARY)
    body = bytes.fromhex(stamp.commit or "00000000") + deflate.compress(" ".join(words).encode()) + deflate.flush()
    if len(body) > _LONGEST:
        raise UserError(f"the options are {len(body) - _LONGEST} bytes too long for the image's stamp: shorten them")
    data = body + bytes((_check(body), len(body)))
    return bytes(-len(data) % 8) + data


def size(head: bytes) -> int | None:
    """Read the size of a restorer from its head.

    Args:
        head: The first bytes of an image, 8 at least.

    Returns:
        The restorer's size in bytes; None if the image does not start with a restorer.
    """
    if len(head) < HEADER_WINDOW or int.from_bytes(head[:4], "little") & 0xFFF != 0x6F:  # jal zero
        return None
    length = int.from_bytes(head[4:8], "little")
    return length if HEADER_WINDOW + len(_FLAG) <= length <= RESERVED_SIZE else None


def complete(image: bytes) -> bool:
    """Check whether an image starts with a complete restorer: one that ends with the completeness flag.

    In a restorer of LibCheckpointAlpha's the flag is the last of its code, and zeros follow up to its size.

    Args:
        image: The first bytes of an image, RESERVED_SIZE at most are needed.

    Returns:
        Whether it does; the restorer may have no stamp.
    """
    end = size(image)
    if end is None or len(image) < end:
        return False
    flag = len(image[:end].rstrip(b"\0")) - len(_FLAG.rstrip(b"\0"))
    return image[flag : flag + len(_FLAG)] == _FLAG and flag + len(_FLAG) <= end and (end - flag) % 8 == 0


def find(image: bytes) -> Stamp | None:
    """Find the stamp of the restorer at the start of an image.

    Args:
        image: The first bytes of an image, RESERVED_SIZE at most are needed.

    Returns:
        The stamp; None if there is no complete restorer or it has no stamp.
    """
    if not complete(image):
        return None
    end = (size(image) or 0) - len(_FLAG)
    check, length = image[end - 2 : end]
    body = image[max(end - 2 - length, 8) : end - 2]
    if len(body) != length or length < 5 or check != _check(body):
        return None
    try:
        inflate = zlib.decompressobj(-15, zdict=DICTIONARY)
        text = inflate.decompress(body[4:], 1 << 16)
        if not inflate.eof or inflate.unused_data:
            return None
        return _parse(body[:4].hex(), text.decode("ascii"))
    except (zlib.error, UnicodeDecodeError):
        return None


def _parse(commit: str, text: str) -> Stamp | None:
    first, *words = text.split(" ")
    options = [_OPTION.fullmatch(word) for word in words]
    version = first.removesuffix(_DIRTY)
    if not _VERSION.fullmatch(version) or not all(options):
        return None
    values = {match[1]: unquote(match[2]) for match in options if match}
    return Stamp(version, commit if commit != "00000000" else "", first != version, values)
