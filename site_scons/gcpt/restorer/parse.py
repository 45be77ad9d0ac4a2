"""Parsers of option texts, one per kind of value.

All of them raise a one-line UserError that names the option, the problem and the fix.
"""

import os
import shlex
from pathlib import Path

from gcpt.errors import UserError
from gcpt.isa.csrs import GROUPS, SETS
from gcpt.restorer.options import Option, nearest

#: Characters that SCons, the C preprocessor or the assembler would interpret in a path.
_NOT_IN_PATHS = "$#\"'\\\n"
_ADDRESS_BITS = 56
#: More digits than any decimal number of an option has: Python refuses to convert thousands of them.
_MAX_DIGITS = 20


def _decimal(text: str) -> int:
    """The number of a text of ASCII digits; -1 for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1


def choice(option: Option, text: str) -> str:
    """Parse one of an option's choices.

    Args:
        option: The option, with its choices and aliases.
        text: A choice or an alias.

    Returns:
        The choice; an alias is replaced.

    Raises:
        UserError: The text is neither a choice nor an alias.
    """
    aliases = dict(option.aliases)
    value = aliases.get(text, text)
    if value not in option.choices:
        words = (*option.choices, *aliases)
        raise UserError(f"{option.name}={text}: want one of {', '.join(words)}{nearest(text, words)}")
    return value


def groups(name: str, text: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """Parse a list of CSR groups.

    Args:
        name: The option's name, for messages.
        text: Either all groups (base is implied), or changes to the default: ``+GROUP`` adds, ``-GROUP`` removes. The
            name of a set of SETS stands for its groups.
        default: The groups that changes apply to.

    Returns:
        The groups, each once.

    Raises:
        UserError: A group is unknown, the two forms are mixed, or base is removed.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if text and not words:
        raise UserError(f"{name}={text}: no group is named; docs/csrs.md lists the groups")
    relative = [word[0] in "+-" for word in words]
    if any(relative) and not all(relative):
        raise UserError(f"{name}={text}: prefix either all groups or none of them with + or -")
    for group in (word.lstrip("+-") for word in words):
        if not group:
            raise UserError(f"{name}={text}: no group follows a + or -; docs/csrs.md lists the groups")
        if group not in GROUPS and group not in SETS:
            known = (*GROUPS, *SETS)
            raise UserError(
                f"{name}={text}: unknown group {group}{nearest(group, known)}; docs/csrs.md lists the groups"
            )
    removed = {group for word in words if word[0] == "-" for group in _members(word[1:])}
    if "base" in removed:
        raise UserError(f"{name}={text}: every restore needs the group base: remove -base")
    added = [group for word in words if word[0] != "-" for group in _members(word.lstrip("+"))]
    start = default if all(relative) else ("base",)
    return tuple(dict.fromkeys(group for group in (*start, *added) if group not in removed))


def _members(name: str) -> tuple[str, ...]:
    """The groups of a set, or the group itself."""
    return SETS[name].groups if name in SETS else (name,)


def address(name: str, text: str, multiple: int = 1) -> int:
    """Parse a physical address, such as 0x80100000.

    Args:
        name: The option's name, for messages.
        text: A number in Python's notation.
        multiple: Required alignment in bytes.

    Returns:
        The address in bytes.

    Raises:
        UserError: The text is not an address below 2^56, or the address is not aligned.
    """
    try:
        value = int(text, 0)
    except ValueError:
        raise UserError(f"{name}={text}: want an address, such as 0x80100000") from None
    if not 0 <= value < 1 << _ADDRESS_BITS:
        raise UserError(f"{name}={text}: want an address from 0 to below 2^{_ADDRESS_BITS}")
    if value % multiple:
        raise UserError(f"{name}={text}: want a multiple of {multiple}; the next one is {value + -value % multiple:#x}")
    return value


def count(name: str, text: str, largest: int, least: int = 1) -> int:
    """Parse a decimal number.

    Args:
        name: The option's name, for messages.
        text: ASCII digits.
        largest: The largest accepted number.
        least: The least accepted number.

    Returns:
        A number from ``least`` to ``largest``.

    Raises:
        UserError: The text is not such a number.
    """
    number = _decimal(text)
    if not least <= number <= largest:
        raise UserError(f"{name}={text}: want a number from {least} to {largest}")
    return number


def hart_list(name: str, text: str, harts: int, allow_all: bool = False) -> tuple[int, ...]:
    """Parse a list of hart numbers.

    Args:
        name: The option's name, for messages.
        text: Numbers separated by commas; "" is the empty list.
        harts: The number of harts.
        allow_all: Accept "all" for every hart.

    Returns:
        Hart numbers below ``harts``, sorted, each once.

    Raises:
        UserError: The text is not such a list.
    """
    if not text:
        return ()
    if allow_all and text == "all":
        return tuple(range(harts))
    words = text.split(",")
    if any(_decimal(word) < 0 for word in words):
        raise UserError(
            f"{name}={text}: want hart numbers, such as {name}=0 or {name}=1,3{' or all' if allow_all else ''}"
        )
    numbers = sorted({_decimal(word) for word in words})
    if numbers[-1] >= harts:
        remedy = "want hart 0" if harts == 1 else f"want harts 0 to {harts - 1}, or a larger harts="
        raise UserError(f"{name}={text}: hart {numbers[-1]} is out of range for harts={harts}: {remedy}")
    return tuple(numbers)


def words(name: str, text: str) -> list[str]:
    """Split a text into words as a shell does.

    Args:
        name: The option's name, for messages.
        text: The text, with shell quotes.

    Returns:
        The words.

    Raises:
        UserError: A quote is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{name}={text}: {error}: close every quote") from None


def prefix(name: str, text: str) -> str:
    """Check the start of a path or of a command name.

    Args:
        name: The option's name, for messages.
        text: The start of a path; "~" is expanded.

    Returns:
        The expanded text.

    Raises:
        UserError: The text has a refused character, or is not UTF-8.
    """
    wrong = next((character for character in text if character in _NOT_IN_PATHS), "")
    if wrong:
        raise UserError(f"{name}={text!r}: the build cannot use a path with {wrong!r}: rename the file or link to it")
    utf8(name, text)
    return os.path.expanduser(text)


def utf8(name: str, text: str) -> None:
    """Check that a path is UTF-8, as SCons and protoc need it.

    Args:
        name: The option's or variable's name, for messages.
        text: The path.

    Raises:
        UserError: The path has other bytes.
    """
    if any("\udc80" <= character <= "\udcff" for character in text):
        raise UserError(f"{name}={text}: the build cannot use a path that is not UTF-8: rename the file or link to it")


def path(name: str, text: str) -> Path:
    """Check a path, as ``prefix`` does, and that its folders can be reached.

    Args:
        name: The option's name, for messages.
        text: The path.

    Returns:
        The path, with "~" expanded.

    Raises:
        UserError: The path has a refused character, or leads through a file or a loop of links, or is too long.
    """
    checked = Path(prefix(name, text))
    try:
        checked.stat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"{name}={text}: {error.strerror}: choose another path") from None
    return checked


def file(name: str, text: str) -> Path:
    """Check that a path names a file with content.

    Args:
        name: The option's name, for messages.
        text: The path, absolute or relative to the project's folder.

    Returns:
        The path, with "~" expanded.

    Raises:
        UserError: There is no such file, or the file is empty.
    """
    existing = path(name, text)
    if not existing.is_file():
        problem = "not a file" if existing.exists() else "no such file"
        raise UserError(f"{name}={text}: {problem}: give an absolute path, or one relative to SConstruct")
    if not existing.stat().st_size:
        raise UserError(f"{name}={text}: the file is empty: build it again")
    return existing
