"""The protobuf header of a checkpoint: two messages, each terminated by a zero byte.

protoc compiles the message classes from proto/checkpoint.proto once: at the first use, or when a wheel is built.
"""

import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message

from gcpt.checkout import ROOT
from gcpt.checkpoint.layouts import DEFAULT, HEADER_MAGIC, HEADER_VERSIONS, Layout
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder

PROTO = ROOT / "proto" / "checkpoint.proto"
#: protoc's output: in an installed package, beside this file; in a checkout, under build/.
DESCRIPTORS = "checkpoint.descriptors"
_INSTALLED = Path(__file__).with_name(DESCRIPTORS)
_BUILT = ROOT / "build" / "common" / DESCRIPTORS
#: A header is shorter than this, in bytes; the restorer reads no more.
MAX_SIZE = 512

_HEADER_FIELDS = ("magic_number", "cpt_offset", "cpu_num", "single_core_size", "version")
#: Bytes after the tag, for wire types of a fixed size (protobuf's encoding guide).
_FIXED = {1: 8, 5: 4}
#: These bytes are in every encoding of the magic number.
_MAGIC_BYTES = b"\xef\xfd\xb6\xf5"


@dataclass(frozen=True)
class Header:
    """A protobuf header.

    Attributes:
        cpt_offset: Bytes from the header to hart 0's block.
        cpu_num: Number of harts.
        single_core_size: Bytes from one block to the next.
        version: One of HEADER_VERSIONS.
        magic_number: HEADER_MAGIC.
        layout: Offsets of the fields in a block.
    """

    cpt_offset: int
    cpu_num: int
    single_core_size: int
    version: int = HEADER_VERSIONS[-1]
    magic_number: int = HEADER_MAGIC
    layout: Layout = DEFAULT


def _compiled(proto: Path) -> bytes:
    """Compile ``proto`` with protoc into an encoded FileDescriptorSet."""
    with scratch_folder() as folder:
        out = folder / "descriptors"
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}"]
        run = subprocess.run([*protoc, proto.name], capture_output=True, text=True, check=False)
        if run.returncode:
            raise UserError(f"{proto}: protoc: {run.stderr.strip()}")
        return out.read_bytes()


def write_descriptors(out: Path) -> None:
    """Compile checkpoint.proto with protoc.

    Args:
        out: The file for the FileDescriptorSet; it is written completely or not at all.

    Raises:
        UserError: protoc fails.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f"{out.name}.{os.getpid()}")
    partial.write_bytes(_compiled(PROTO))
    partial.replace(out)


def _descriptors() -> bytes:
    """The FileDescriptorSet of the installed package; in a checkout, the one under build/, updated if outdated."""
    if _INSTALLED.exists():
        return _INSTALLED.read_bytes()
    if not (_BUILT.exists() and _BUILT.stat().st_mtime > PROTO.stat().st_mtime):
        try:
            write_descriptors(_BUILT)
        except OSError:
            return _compiled(PROTO)  # a read-only checkout
    return _BUILT.read_bytes()


@cache
def messages() -> dict[str, type[Message]]:
    """Load the message classes of checkpoint.proto.

    Returns:
        The classes, by message name.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(_descriptors())
    classes: dict[str, type[Message]] = message_factory.GetMessages(list(files.file), descriptor_pool.DescriptorPool())
    return classes


def _fields() -> dict[str, str]:
    """Field names in the layout message, by field names in ``Layout``."""
    known = messages()["single_core_rvgc_rvv_rvh_memlayout"].DESCRIPTOR.fields_by_name
    return {name: name if name in known else f"{name}_cpt_addr" for name in DEFAULT.items()}


def encode(header: Header) -> bytes:
    """Encode a header as generators do.

    Args:
        header: The header.

    Returns:
        Its bytes.
    """
    first = messages()["checkpoint_header"](
        magic_number=header.magic_number,
        cpt_offset=header.cpt_offset,
        cpu_num=header.cpu_num,
        single_core_size=header.single_core_size,
        version=header.version,
    )
    values = header.layout.items()
    second = messages()["single_core_rvgc_rvv_rvh_memlayout"](
        **{field: values[name] for name, field in _fields().items()}
    )
    return bytes(first.SerializeToString() + b"\0" + second.SerializeToString() + b"\0")


class _UndecodableError(Exception):
    pass


class _Stream:
    """The bytes of two messages, decoded as nanopb decodes them."""

    def __init__(self, data: bytes) -> None:
        self._data = data[:MAX_SIZE]
        self.at = 0

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self._data):
            raise _UndecodableError("no zero byte ends it")
        return self._data[self.at - size : self.at]

    def varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80 and value < 1 << 64:
                return value
        raise _UndecodableError(f"a number with more than 64 bits before byte {self.at}")

    def varint32(self) -> int:
        """A number of up to 32 bits, encoded in up to 10 bytes: the bits above 32 are zero, or the sign extension."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift & 0xFFFF_FFFF
            sign = value >> 31
            if shift == 28:
                fits = not byte & 0x70 or byte & 0x78 == 0x78
            else:
                fits = shift < 28 or not byte & 0x7F or bool(sign and byte == (0xFF if shift < 63 else 0x01))
            if not fits:
                break
            if not byte & 0x80:
                return value
        raise _UndecodableError(f"a number with more than 32 bits before byte {self.at}")

    def skip(self, wire: int) -> None:
        """Skip the rest of an unknown field, by its wire type."""
        if wire == 0:
            while self.take(1)[0] & 0x80:
                pass
        elif wire == 2:
            self.take(self.varint32())
        elif wire in _FIXED:
            self.take(_FIXED[wire])
        else:
            raise _UndecodableError(f"invalid wire type {wire} before byte {self.at}")


def _read(stream: _Stream, message: str, values: dict[str, int]) -> None:
    """Decode the fields of ``message`` into ``values``, until the end or the first fault."""
    known = messages()[message].DESCRIPTOR.fields_by_number
    while tag := (key := stream.varint32()) >> 3:
        if tag not in known:
            stream.skip(key & 7)
        elif key & 7:
            raise _UndecodableError(f"{known[tag].name} is not a number")
        else:
            values[known[tag].name] = stream.varint()


def decode(data: bytes) -> tuple[Header, int]:
    """Decode a header, with the same result as the restorer's decoder.

    Args:
        data: Bytes that start with the header, MAX_SIZE at most are needed.

    Returns:
        The header, and its size in bytes.

    Raises:
        UserError: There is no header, or it cannot be decoded.
    """
    stream = _Stream(data)
    first: dict[str, int] = {}
    second: dict[str, int] = {}
    try:
        _read(stream, "checkpoint_header", first)
        _read(stream, "single_core_rvgc_rvv_rvh_memlayout", second)
        if stream.at == MAX_SIZE:
            raise _UndecodableError("it is too long")
    except _UndecodableError as error:
        raise UserError(f"no protobuf header: {error}") from error
    layout = Layout(**{name: second.get(field, 0) for name, field in _fields().items()})
    return Header(**{field: first.get(field, 0) for field in _HEADER_FIELDS}, layout=layout), stream.at


def present(data: bytes) -> bool:
    """Check whether bytes start with a header: its first message has the magic number, even if it cannot be decoded.

    Args:
        data: The bytes, MAX_SIZE at most are needed.

    Returns:
        Whether they do.
    """
    if _MAGIC_BYTES not in data[:MAX_SIZE]:
        return False
    first: dict[str, int] = {}
    with suppress(_UndecodableError):
        _read(_Stream(data), "checkpoint_header", first)
    return first.get("magic_number") == HEADER_MAGIC
