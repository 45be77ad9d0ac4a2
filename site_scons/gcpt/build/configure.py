"""``configure`` of an exported folder: checks options in the style of autoconf and saves them for make.

``python -m gcpt.build.configure FOLDER --NAME=VALUE ...`` writes FOLDER/gcpt.options; without options it keeps the
file. Dashes and underscores are equivalent; paths are relative to the caller's folder. Exit status: 0 success, 2 bad
input, which does not change the file.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gcpt import interrupts
from gcpt.build import export
from gcpt.checkout import ROOT
from gcpt.errors import UserError, one_line
from gcpt.restorer.options import BY_NAME, OF_RESTORER, Option, nearest
from gcpt.restorer.resolution import resolve

_OPTIONS = {option.name: option for option in OF_RESTORER}
_SWITCH = ("0", "1")
_HELP = ("-h", "--help")


def _known(word: str, argument: str) -> Option:
    if option := _OPTIONS.get(word):
        return option
    if word in BY_NAME:
        raise UserError(f"{argument}: only scons has this option: make builds in this folder")
    suggestion = nearest(word, tuple(_OPTIONS)).replace("mean ", "mean --").replace("_", "-")
    raise UserError(f"unknown option {argument}{suggestion}")


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Parse the arguments of ``configure``.

    Args:
        arguments: ``--NAME=VALUE``, ``--NAME VALUE`` or ``NAME=VALUE``; for a 0/1 option also ``--NAME``,
            ``--enable-NAME`` and ``--disable-NAME``.

    Returns:
        Option values by name.

    Raises:
        UserError: An argument is not an option, is unknown, or lacks a value.
    """
    values: dict[str, str] = {}
    queue = list(arguments)
    while queue:
        argument = queue.pop(0)
        name, equals, value = argument.partition("=")
        if not (name.startswith("--") or equals):
            raise UserError(f"{argument}: want options, such as --mode=dual_core")
        word = name.removeprefix("--").replace("-", "_")
        verb, _, switch = word.partition("_")
        if verb in ("enable", "disable") and not equals and _is_switch(switch):
            word, value = switch, _SWITCH[verb == "enable"]
        elif not equals and _is_switch(word):
            value = "1"
        elif not equals and _known(word, argument):
            if not queue:
                raise UserError(f"{argument}: no value: want {argument}={_OPTIONS[word].values}")
            value = queue.pop(0)
        values[_known(word, argument).name] = value
    return values


def _is_switch(word: str) -> bool:
    return word in _OPTIONS and _OPTIONS[word].choices == _SWITCH


def _absolute_paths(values: dict[str, str]) -> dict[str, str]:
    paths = {name for name, value in values.items() if _OPTIONS[name].values in ("FILE", "DIR") and value}
    return {
        name: str(Path(value).expanduser().absolute()) if name in paths else value for name, value in values.items()
    }


def help_text() -> str:
    """The output of ``configure --help``."""
    lines = ["usage: ./configure [--NAME=VALUE...] && make [CROSS_COMPILE=PREFIX]", ""]
    for option in OF_RESTORER:
        default = f" [{option.default.strip('()')}]" if option.default else ""
        lines += [f"  --{option.name.replace('_', '-')}={option.values}", f"      {option.help}{default}"]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    """Run ``configure``.

    Args:
        argv: The exported folder, then the user's arguments.

    Returns:
        Exit status: 0 success, 2 bad input.
    """
    folder, *arguments = argv
    target = Path(folder) / export.OPTIONS
    if any(argument in _HELP for argument in arguments):
        print(help_text(), end="")
        return 0
    if not arguments and target.is_file():
        print(f"{target.name}: kept")
        return 0
    try:
        values = _absolute_paths(parse(arguments))
        target = target.absolute()
        os.chdir(ROOT)  # the checks of paths expect the build's folder
        config = resolve(values)
        cache = {"cache_dir": str(config.cache_dir)} if config.cache_dir else {}
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        partial.write_text(export.options_text({**config.options, **cache}))
        partial.replace(target)
    except UserError as error:
        print(f"gcpt: {one_line(str(error))}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"gcpt: {error.filename or target}: {error.strerror}", file=sys.stderr)
        return 2
    print(
        f"{target.name}: {' '.join(f'{name}={value}' for name, value in config.options.items()) or 'default options'}"
    )
    return 0


if __name__ == "__main__":
    interrupts.end_at_once()
    sys.exit(main(sys.argv[1:]))
