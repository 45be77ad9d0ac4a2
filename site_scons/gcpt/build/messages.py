"""The messages of checkpoint.proto as the firmware's decoder sees them: field names and tags.

The decoder needs neither protoc nor nanopb: all fields are uint64, which this module checks.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from gcpt.errors import UserError

_MESSAGE = re.compile(r"\s*message\s+(\w+)\s*\{([^{}]*)\}")
_FIELD = re.compile(r"\s*(?:uint64\s+(\w+)\s*=\s*(\d+)|reserved\s+\d+)\s*")
_COMMENT = re.compile(r"//[^\n]*")
#: The decoder marks known tags in 32 bits.
_LAST_TAG = 31

#: Tags by field name, by message name, in the order of the file.
Messages = Mapping[str, Mapping[str, int]]


def read(proto: Path) -> Messages:
    """Read the messages of a .proto file.

    Args:
        proto: The file, with messages of uint64 fields alone.

    Returns:
        The tags of each message's fields.

    Raises:
        UserError: The file has something else.
    """
    _, syntax, text = _COMMENT.sub("", proto.read_text()).partition('syntax = "proto3";')
    messages: dict[str, dict[str, int]] = {}
    while syntax and (message := _MESSAGE.match(text)):
        messages[message[1]] = _fields(proto, message[2])
        text = text[message.end() :]
    if not messages or text.strip():
        raise UserError(f"{proto}: not understood: want messages of proto3 with uint64 fields")
    return messages


def _fields(proto: Path, body: str) -> dict[str, int]:
    tags: dict[str, int] = {}
    *lines, rest = body.split(";")
    for line in lines + [rest] * bool(rest.strip()):
        field = _FIELD.fullmatch(line)
        tag = int(field[2] or 0) if field else -1
        if not field or tag > _LAST_TAG or line is rest:
            raise UserError(f"{proto}: {line.strip()}: want uint64 NAME = TAG, TAG from 1 to {_LAST_TAG}")
        if field[1]:
            tags[field[1]] = tag
    return tags


def header(messages: Messages) -> str:
    """Write gcpt_messages.h: for each message the list of its fields, and the tag of each field.

    Args:
        messages: The messages.

    Returns:
        C macros: ``MESSAGE_FIELDS(X)`` expands to ``X(field, tag)`` for each field, ``MESSAGE_FIELD_tag`` is a tag.
    """
    lines = ["/* Generated from proto/checkpoint.proto. */", "#pragma once", ""]
    for message, tags in messages.items():
        lines += [f"#define {message}_{field}_tag {tag}" for field, tag in tags.items()]
        fields = " ".join(f"X({field}, {tag})" for field, tag in tags.items())
        lines += [f"#define {message}_FIELDS(X) {fields}", ""]
    return "\n".join(lines)
