"""Read, change and write a flattened device tree (Devicetree Specification 0.4, chapter 5)."""

import struct
from dataclasses import dataclass, field
from typing import Self

_MAGIC, _VERSION, _LAST_COMPATIBLE = 0xD00DFEED, 17, 16
_BEGIN, _END, _PROPERTY, _NOP, _LAST = 1, 2, 3, 4, 9
_HEADER = struct.Struct(">10I")
_RESERVED_ENTRY = 16
_WORD = 4


@dataclass
class Node:
    """A node of a device tree.

    Attributes:
        name: Its name with the unit address.
        properties: Its properties by name.
        children: The nodes in it.
    """

    name: str
    properties: dict[str, bytes] = field(default_factory=dict)
    children: list[Self] = field(default_factory=list)

    def child(self, name: str) -> Self:
        """Return the child of a name, which is added if there is none."""
        for child in self.children:
            if child.name == name:
                return child
        self.children.append(type(self)(name))
        return self.children[-1]


def cells(*values: int) -> bytes:
    """Encode numbers of two cells each."""
    return b"".join(value.to_bytes(2 * _WORD, "big") for value in values)


def string(text: str) -> bytes:
    """Encode a string."""
    return text.encode() + b"\0"


def parse(blob: bytes) -> Node:
    """Parse a device tree without memory reservations.

    Args:
        blob: The device tree, as QEMU writes it.

    Returns:
        The root node.

    Raises:
        ValueError: It is damaged.
    """
    magic, _, structure, strings, *_ = _HEADER.unpack_from(blob)
    if magic != _MAGIC:
        raise ValueError("not a device tree")
    root = Node("")
    path = [root]
    at = structure
    while (token := _word(blob, at)) != _LAST:
        at += _WORD
        if token == _BEGIN:
            end = blob.index(b"\0", at)
            if name := blob[at:end].decode():
                path.append(path[-1].child(name))
            at = _aligned(end + 1)
        elif token == _END:
            path.pop()
        elif token == _PROPERTY:
            size, name_at = _word(blob, at), strings + _word(blob, at + _WORD)
            at += 2 * _WORD
            path[-1].properties[blob[name_at : blob.index(b"\0", name_at)].decode()] = blob[at : at + size]
            at = _aligned(at + size)
        elif token != _NOP:
            raise ValueError(f"token {token} at {at - _WORD:#x}")
    return root


def _word(blob: bytes, at: int) -> int:
    return int.from_bytes(blob[at : at + _WORD], "big")


def _aligned(at: int) -> int:
    return -(-at // _WORD) * _WORD


def encode(root: Node) -> bytes:
    """Write a device tree.

    Args:
        root: The root node.

    Returns:
        The blob.
    """
    names: dict[str, int] = {}
    structure = b"".join(_tokens(root, names)) + _LAST.to_bytes(_WORD, "big")
    strings = b"".join(map(string, names))
    reservations = _HEADER.size
    begin = reservations + _RESERVED_ENTRY
    size = begin + len(structure) + len(strings)
    header = _HEADER.pack(
        *(_MAGIC, size, begin, begin + len(structure), reservations),
        *(_VERSION, _LAST_COMPATIBLE, 0, len(strings), len(structure)),
    )
    return header + bytes(_RESERVED_ENTRY) + structure + strings


def _tokens(node: Node, names: dict[str, int]) -> list[bytes]:
    """The tokens of a node; ``names`` gets the offsets of the properties' names."""
    parts = [_BEGIN.to_bytes(_WORD, "big"), _padded(string(node.name))]
    for name, value in node.properties.items():
        at = names.setdefault(name, sum(len(known) + 1 for known in names))
        parts += [struct.pack(">3I", _PROPERTY, len(value), at), _padded(value)]
    for child in node.children:
        parts += _tokens(child, names)
    return [*parts, _END.to_bytes(_WORD, "big")]


def _padded(data: bytes) -> bytes:
    return data.ljust(_aligned(len(data)), b"\0")
