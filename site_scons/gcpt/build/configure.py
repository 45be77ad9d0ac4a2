"""``configure`` of an exported folder: options as other projects' builds spell them, checked and kept for make.

``python -m gcpt.configure FOLDER --NAME=VALUE ...`` writes FOLDER/gcpt.options. Dashes and underscores are the same;
paths are from the caller's folder. Exit status: 0 well, 2 bad input, which leaves the file as it was.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from gcpt.build import export
from gcpt.checkout import ROOT
from gcpt.errors import UserError
from gcpt.restorer.options import BY_NAME, OF_RESTORER, Option, nearest
from gcpt.restorer.resolution import resolve

_OPTIONS = {option.name: option for option in OF_RESTORER}
_SWITCH = ("0", "1")
_HELP = ("-h", "--help")


def _known(word: str, argument: str) -> Option:
    if option := _OPTIONS.get(word):
        return option
    if word in BY_NAME:
        raise UserError(f"{argument}: this is an option of scons alone: make builds in this folder")
    near = nearest(word, tuple(_OPTIONS)).replace("mean ", "mean --").replace("_", "-")
    raise UserError(f"unknown option {argument}{near}")


def parse(arguments: Sequence[str]) -> dict[str, str]:
    """Options by name: --NAME=VALUE, --NAME VALUE, NAME=VALUE; of a switch --NAME, --enable-NAME, --disable-NAME."""
    values: dict[str, str] = {}
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        spelt, equals, value = argument.partition("=")
        if not (spelt.startswith("--") or equals):
            raise UserError(f"{argument}: want options, such as --mode=dual_core")
        word = spelt.removeprefix("--").replace("-", "_")
        verb, _, switch = word.partition("_")
        if verb in ("enable", "disable") and not equals and _is_switch(switch):
            word, value = switch, _SWITCH[verb == "enable"]
        elif not equals and _is_switch(word):
            value = "1"
        elif not equals and _known(word, argument):
            if not waiting:
                raise UserError(f"{argument} wants a value: {argument}={_OPTIONS[word].values}")
            value = waiting.pop(0)
        values[_known(word, argument).name] = value
    return values


def _is_switch(word: str) -> bool:
    return word in _OPTIONS and _OPTIONS[word].choices == _SWITCH


def _whole(values: dict[str, str]) -> dict[str, str]:
    """With the paths of the caller's folder written from /."""
    paths = {name for name, value in values.items() if _OPTIONS[name].values in ("FILE", "DIR") and value}
    return {
        name: str(Path(value).expanduser().absolute()) if name in paths else value for name, value in values.items()
    }


def help_text() -> str:
    lines = ["usage: ./configure [--NAME=VALUE...] && make [CROSS_COMPILE=PREFIX]", ""]
    for option in OF_RESTORER:
        default = f" [{option.default.strip('()')}]" if option.default else ""
        lines += [f"  --{option.name.replace('_', '-')}={option.values}", f"      {option.help}{default}"]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str]) -> int:
    folder, *arguments = argv
    if any(argument in _HELP for argument in arguments):
        print(help_text(), end="")
        return 0
    try:
        target = Path(folder).absolute() / export.OPTIONS
        values = _whole(parse(arguments))
        os.chdir(ROOT)  # as in the build, so that its checks of paths hold
        config = resolve(values)
        cache = {"cache_dir": str(config.cache_dir)} if config.cache_dir else {}
        partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
        partial.write_text(export.options_text({**config.options, **cache}))
        partial.replace(target)
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"gcpt: {target}: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{target.name}: {' '.join(f'{name}={value}' for name, value in config.options.items()) or 'the defaults'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
