"""JSON as editors keep it, with comments and trailing commas: read, and changed without touching the rest of the text.

A document is a tree of nodes that know where their text is. Pure functions, text in and text out.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
#: What is put in is indented by so much more than what it is in.
_STEP = "    "


class JsoncError(ValueError):
    """Text that is no JSON; the message has the line and what was wanted there."""


@dataclass(frozen=True)
class Node:
    """A value and its text, from ``start`` to before ``end``. inside: an array's or object's members; keys, or ""."""

    value: Any
    start: int
    end: int
    inside: tuple[tuple[str, "Node"], ...] = ()

    def member(self, key: str) -> "Node | None":
        """An object's member: the last one of that key, as JSON has it."""
        return next((node for name, node in reversed(self.inside) if name == key), None)


def parse(text: str) -> Node:
    """The document; JsoncError names the line of what is wrong."""
    start = _skip(text, 0)
    node = _value(text, start)
    if (end := _skip(text, node.end)) != len(text):
        raise _error(text, end, "the end of the file")
    return node


def _error(text: str, at: int, wanted: str) -> JsoncError:
    return JsoncError(f"line {text.count(chr(10), 0, at) + 1}: want {wanted}")


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _value(text: str, at: int) -> Node:
    if text[at : at + 1] in ("{", "["):
        return _container(text, at)
    if text[at : at + 1] == '"':
        return _string(text, at)
    if match := _SCALAR.match(text, at):
        return Node(json.loads(match[0]), at, match.end())
    raise _error(text, at, "a value")


def _string(text: str, at: int) -> Node:
    if text[at : at + 1] != '"':
        raise _error(text, at, 'a key within ""')
    try:
        value, end = json.JSONDecoder().raw_decode(text, at)
    except ValueError:
        raise _error(text, at, 'a string, ended by a " in the same line') from None
    return Node(value, at, end)


def _container(text: str, start: int) -> Node:
    """An object or an array: members and commas in turn, a comma after the last one being no fault."""
    is_object = text[start] == "{"
    closing = "}" if is_object else "]"
    inside: list[tuple[str, Node]] = []
    at = _skip(text, start + 1)
    while text[at : at + 1] != closing:
        key = ""
        if is_object:
            name = _string(text, at)
            key, at = name.value, _skip(text, name.end)
            if text[at : at + 1] != ":":
                raise _error(text, at, "a :")
            at = _skip(text, at + 1)
        node = _value(text, at)
        inside.append((key, node))
        at = _skip(text, node.end)
        if text[at : at + 1] == ",":
            at = _skip(text, at + 1)
        elif text[at : at + 1] != closing:
            raise _error(text, at, f"a comma or {closing}")
    values = {key: node.value for key, node in inside} if is_object else [node.value for _, node in inside]
    return Node(values, start, at + 1, tuple(inside))


def dumps(value: object, indent: str = "") -> str:
    """``value`` as text whose lines but the first begin with ``indent``."""
    return json.dumps(value, indent=_STEP).replace("\n", "\n" + indent)


def replace(text: str, node: Node, value: object) -> str:
    """``text`` with ``value`` in the place of ``node``."""
    return text[: node.start] + dumps(value, _indent(text, node.start)) + text[node.end :]


def add(text: str, container: Node, value: object, key: str = "") -> str:
    """``text`` with one more member at the end of ``container``; comments keep their lines."""
    outer = _indent(text, container.start)
    inner = _indent(text, container.inside[0][1].start) if container.inside else outer + _STEP
    new = (json.dumps(key) + ": " if key else "") + dumps(value, inner)
    close = container.end - 1
    end = container.inside[-1][1].end if container.inside else container.start + 1
    comma = "," if container.inside and not any(_commas(text, end, close)) else ""
    kept = text[end:close].rstrip()
    rest = text[end + len(kept) : close]
    last = rest if "\n" in rest else "\n" + outer
    return text[:end] + comma + kept + "\n" + inner + new + last + text[close:]


def _commas(text: str, start: int, end: int) -> Iterator[int]:
    """Where commas are between ``start`` and ``end``, comments left out."""
    at = _skip(text, start)
    while at < end:
        yield at
        at = _skip(text, at + 1)


def _indent(text: str, at: int) -> str:
    """What the line of ``at`` begins with."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
