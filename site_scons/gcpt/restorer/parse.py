"""The text of one option as a value, or a UserError: the option's name, what is wrong and how to mend it."""

import os
import shlex
from pathlib import Path

from gcpt.errors import UserError
from gcpt.isa.csrs import GROUPS
from gcpt.restorer.options import Option, nearest

#: Characters of a path that SCons, the C preprocessor or the assembler would take for something else.
_NOT_IN_PATHS = '$#"\\\n'
_ADDRESS_BITS = 56


def choice(option: Option, text: str) -> str:
    """One of the option's choices, or an alias of one."""
    aliases = dict(option.aliases)
    value = aliases.get(text, text)
    if value not in option.choices:
        words = (*option.choices, *aliases)
        raise UserError(f"{option.name}={text}: want one of {', '.join(words)}{nearest(text, words)}")
    return value


def groups(name: str, text: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """Groups of CSRs: ``text`` names them all (base always is one) or says what is more and less than ``default``."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if text and not words:
        raise UserError(f"{name}={text}: this names no group; docs/csrs.md lists them")
    relative = [word[0] in "+-" for word in words]
    if any(relative) and not all(relative):
        raise UserError(f"{name}={text}: either each group has a + or - before it, or none has")
    for group in (word.lstrip("+-") for word in words):
        if not group:
            raise UserError(f"{name}={text}: a + or - alone names no group; docs/csrs.md lists them")
        if group not in GROUPS:
            raise UserError(
                f"{name}={text}: there is no group {group}{nearest(group, tuple(GROUPS))}; docs/csrs.md lists them"
            )
    less = {word[1:] for word in words if word[0] == "-"}
    if "base" in less:
        raise UserError(f"{name}={text}: no hart is restored without base: leave -base out")
    more = [word.lstrip("+") for word in words if word[0] != "-"]
    start = default if all(relative) else ("base",)
    return tuple(dict.fromkeys(group for group in (*start, *more) if group not in less))


def address(name: str, text: str, multiple: int = 1) -> int:
    """A physical address in bytes, such as 0x80100000."""
    try:
        value = int(text, 0)
    except ValueError:
        raise UserError(f"{name}={text}: want an address, such as 0x80100000") from None
    if not 0 <= value < 1 << _ADDRESS_BITS:
        raise UserError(f"{name}={text}: want an address from 0 to below 2^{_ADDRESS_BITS}")
    if value % multiple:
        raise UserError(f"{name}={text}: want a multiple of {multiple}; the next one is {value + -value % multiple:#x}")
    return value


def count(name: str, text: str, largest: int) -> int:
    """A number from 1 to ``largest``."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= largest):
        raise UserError(f"{name}={text}: want a number from 1 to {largest}")
    return int(text)


def hart_list(name: str, text: str, harts: int, everyone: bool = False) -> tuple[int, ...]:
    """Hart numbers below ``harts``, sorted, each once; all of them for "all" where ``everyone`` may be asked for."""
    if not text:
        return ()
    if everyone and text == "all":
        return tuple(range(harts))
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise UserError(
            f"{name}={text}: want hart numbers, such as {name}=0 or {name}=1,3{' or all' if everyone else ''}"
        )
    numbers = sorted({int(word) for word in words})
    if numbers[-1] >= harts:
        more = "name a lower one" if harts == 1 else f"name one from 0 to {harts - 1}, or raise harts="
        raise UserError(f"{name}={text}: hart {numbers[-1]} is past harts={harts}: {more}")
    return tuple(numbers)


def words(name: str, text: str) -> list[str]:
    """What a shell makes of ``text``."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise UserError(f"{name}={text}: {error}: quotes come in pairs") from None


def prefix(name: str, text: str, also: str = "") -> str:
    """The start of a path or command name that all parts of the build can pass on, "~" replaced.

    also: more characters that they cannot.
    """
    wrong = next((character for character in text if character in _NOT_IN_PATHS + also), "")
    if wrong:
        raise UserError(
            f"{name}={text!r}: the build cannot pass on a path that holds {wrong!r}: rename it or link to it"
        )
    return os.path.expanduser(text)


def path(name: str, text: str) -> Path:
    """As ``prefix``, for a whole path."""
    return Path(prefix(name, text))


def file(name: str, text: str) -> Path:
    """An existing file that is not empty."""
    found = path(name, text)
    if not found.is_file():
        what = "is not a file" if found.exists() else "does not exist"
        raise UserError(f"{name}={text}: this {what}: name the file to link, from the folder of SConstruct or from /")
    if not found.stat().st_size:
        raise UserError(f"{name}={text}: this file is empty: was it built to its end?")
    return found
