"""JSON with comments and trailing commas, as editors write it: parsing, and edits that preserve all other text.

A document is a tree of nodes with positions in the text. All functions are pure.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_BLANK = re.compile(r"(?:[ \t\r\n\ufeff]|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null")
#: Indentation of added members, relative to their container.
_STEP = "    "


class JsoncError(ValueError):
    """The text is not JSON; the message has the line and the expected token."""


@dataclass(frozen=True)
class Node:
    """A value in a text.

    Attributes:
        value: The value.
        start: Index of its first character.
        end: Index after its last character.
        inside: Members of an array or object, as (key, node); keys of arrays are "".
    """

    value: Any
    start: int
    end: int
    inside: tuple[tuple[str, "Node"], ...] = ()

    def member(self, key: str) -> "Node | None":
        """Find an object's member.

        Args:
            key: The member's key.

        Returns:
            The last member with the key, as in other JSON parsers; None if there is none.
        """
        return next((node for name, node in reversed(self.inside) if name == key), None)


def parse(text: str) -> Node:
    """Parse a document.

    Args:
        text: The document.

    Returns:
        Its value.

    Raises:
        JsoncError: The text is not JSON.
    """
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
    """Parse an object or an array; a trailing comma is allowed."""
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
    """Format a value.

    Args:
        value: The value.
        indent: Indentation of all lines but the first.

    Returns:
        JSON.
    """
    return json.dumps(value, indent=_STEP).replace("\n", "\n" + indent)


def replace(text: str, node: Node, value: object) -> str:
    """Replace a value in a text.

    Args:
        text: The document.
        node: A value of the document.
        value: The new value.

    Returns:
        The new document.
    """
    return text[: node.start] + dumps(value, _indent(text, node.start)) + text[node.end :]


def add(text: str, container: Node, value: object, key: str = "") -> str:
    """Append a member to an object or array; comments stay on their lines.

    Args:
        text: The document.
        container: An object or array of the document.
        value: The new member.
        key: The new member's key in an object; "" in an array.

    Returns:
        The new document.
    """
    outer = _indent(text, container.start)
    inner = _indent(text, container.inside[0][1].start) if container.inside else outer + _STEP
    new = (json.dumps(key) + ": " if key else "") + dumps(value, inner)
    close = container.end - 1
    end = container.inside[-1][1].end if container.inside else container.start + 1
    comma = "," if container.inside and not any(_commas(text, end, close)) else ""
    comments = text[end:close].rstrip()
    rest = text[end + len(comments) : close]
    last = rest if "\n" in rest else "\n" + outer
    return text[:end] + comma + comments + "\n" + inner + new + last + text[close:]


def _commas(text: str, start: int, end: int) -> Iterator[int]:
    """The indices of commas outside comments between ``start`` and ``end``."""
    at = _skip(text, start)
    while at < end:
        yield at
        at = _skip(text, at + 1)


def _indent(text: str, at: int) -> str:
    """The indentation of the line at index ``at``."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]
