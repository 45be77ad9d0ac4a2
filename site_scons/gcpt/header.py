"""The protobuf header of a checkpoint: two messages, each ended by a zero byte.

The message classes come from proto/checkpoint.proto through protoc, at the first use (about 0.3 s).
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from gcpt.errors import UserError
from gcpt.layouts import DEFAULT, HEADER_MAGIC, HEADER_VERSIONS, Layout

PROTO = Path(__file__).parents[2] / "proto" / "checkpoint.proto"
#: More than any header of this format takes, in bytes.
MAX_SIZE = 512

_HEADER_FIELDS = ("magic_number", "cpt_offset", "cpu_num", "single_core_size", "version")
#: Bytes that follow a tag, by wire type, where that is a fixed number (protobuf's encoding guide).
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True)
class Header:
    """cpt_offset: bytes from the header to hart 0's block. single_core_size: bytes from one block to the next."""

    cpt_offset: int
    cpu_num: int
    single_core_size: int
    version: int = HEADER_VERSIONS[-1]
    magic_number: int = HEADER_MAGIC
    layout: Layout = DEFAULT


@cache
def messages() -> dict[str, type[Message]]:
    """The message classes of checkpoint.proto by name."""
    with tempfile.TemporaryDirectory(prefix="gcpt-") as folder:
        out = Path(folder) / "checkpoint.descriptors"
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO.parent}", f"--descriptor_set_out={out}"]
        run = subprocess.run([*protoc, PROTO.name], capture_output=True, text=True, check=False)
        if run.returncode:
            raise UserError(f"{PROTO}: protoc: {run.stderr.strip()}")
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes())
    classes: dict[str, type[Message]] = message_factory.GetMessages(list(files.file), descriptor_pool.DescriptorPool())
    return classes


def _fields() -> dict[str, str]:
    """Names in the layout message, by the names in ``Layout``."""
    known = messages()["single_core_rvgc_rvv_rvh_memlayout"].DESCRIPTOR.fields_by_name
    return {name: name if name in known else f"{name}_cpt_addr" for name in DEFAULT.items()}


def encode(header: Header) -> bytes:
    """The header as generators write it."""
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


def _skip_varint(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1


def _message_end(data: bytes, at: int) -> int:
    """The offset of the zero byte that ends the message at ``at``; IndexError or ValueError when there is none."""
    while data[at]:
        wire = data[at] & 7
        at = _skip_varint(data, at)
        if wire == 0:
            at = _skip_varint(data, at)
        elif wire in _FIXED:
            at += _FIXED[wire]
        else:
            raise ValueError(f"wire type {wire} at byte {at}")
    return at


def decode(data: bytes) -> tuple[Header, int]:
    """The header at the start of ``data`` and its size in bytes; UserError when there is none."""
    parsed: list[Message] = []
    at = 0
    try:
        for name in ("checkpoint_header", "single_core_rvgc_rvv_rvh_memlayout"):
            end = _message_end(data, at)
            parsed.append(messages()[name].FromString(data[at:end]))
            at = end + 1
    except (IndexError, ValueError, DecodeError) as error:
        raise UserError(f"no protobuf header: {str(error) or 'undecodable'}") from error
    values = [{field.name: value for field, value in message.ListFields()} for message in parsed]
    layout = Layout(**{name: values[1].get(field, 0) for name, field in _fields().items()})
    return Header(**{field: values[0].get(field, 0) for field in _HEADER_FIELDS}, layout=layout), at


def present(data: bytes) -> bool:
    """Whether a header starts at the start of ``data``: its first field is the magic number."""
    return data.startswith(b"\x08\xef\xfd\xb6\xf5\x0d")
