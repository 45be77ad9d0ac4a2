"""``scons run``, ``debug`` and ``debug-server``: a checkpoint in QEMU with the restorer that the options make.

They are ``gcpt run`` and ``gcpt debug`` with that restorer. Pure, but for a look whether the checkpoint is there.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import GDB_PORT

TARGETS = ("run", "debug", "debug-server")
#: The platform that stock QEMU is, and the mode that restores whatever the checkpoint is.
_DEFAULTS = {"platform": "qemu-virt", "mode": "auto"}
#: Options that describe a machine, which QEMU's virt is or is not.
_MACHINE = ("platform", "clint", "uart", "flash", "ram")
#: Options of a run of SCons, not of what it makes.
_OF_THE_RUN = ("ide", "options_file", "save_options", "pytest_args", "bench_json", "bench_compare", "bench_quick")


def with_defaults(given: Mapping[str, str], targets: Sequence[str]) -> dict[str, str]:
    """The options of a run with these targets: one in QEMU has other defaults. UserError when they do not fit."""
    asked = [target for target in targets if target in TARGETS]
    if not asked:
        return dict(given)
    if len(asked) > 1:
        raise UserError(f"{' and '.join(asked)} both want the terminal: ask for one at a time")
    chosen = {**given, **{name: given.get(name) or value for name, value in _DEFAULTS.items()}}
    if chosen["platform"] != _DEFAULTS["platform"]:
        raise UserError(
            f"platform={chosen['platform']}: {asked[0]} is on QEMU's virt machine: leave it out, or platform=qemu-virt"
        )
    if given.get("flash") == "1":
        raise UserError(f"flash=1: {asked[0]} puts the restorer into memory: leave it out, or use gcpt run --flash")
    if given.get("ckpt") and not Path(given["ckpt"]).is_file():
        what = "this is not a file" if Path(given["ckpt"]).exists() else "there is no such file"
        raise UserError(f"ckpt={given['ckpt']}: {what}: name a checkpoint, from the folder of SConstruct")
    return chosen


def for_qemu(given: Mapping[str, str]) -> dict[str, str]:
    """The options ``given``, for whatever machine, as a run in QEMU takes them."""
    plain = {name: value for name, value in given.items() if name not in _MACHINE}
    return with_defaults(plain, [TARGETS[0]])


def as_arguments(wanted: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """What to type after ``scons`` for the options ``wanted``, where an options file may say what is in ``given``."""
    names = [name for name in {**wanted, **given} if name not in _OF_THE_RUN]
    return [f"{name}={wanted.get(name, '')}" for name in names if wanted.get(name) or given.get(name)]


def script(config: BuildConfig) -> Path:
    """Where debug-server keeps the commands that gdb is to know."""
    return config.variant_dir / "gcpt-gdb.py"


def command(target: str, config: BuildConfig, checkpoint: str, gdb_port: str) -> list[str]:
    """The command of the target, for the project's folder. checkpoint: its file. gdb_port: "" is the usual one."""
    image, elf = (str(config.variant_dir / name) for name in ("gcpt.bin", "gcpt.elf"))
    gcpt = [sys.executable, "-m", "gcpt"]
    if target == "run":
        return [*gcpt, "run", checkpoint, "--restorer", image]
    debug = [*gcpt, "debug", checkpoint, "--restorer", image, "--script", str(script(config))]
    if target == "debug":
        return [*debug, "--from-reset", "--symbols", elf]
    return [*debug, "--server", gdb_port or GDB_PORT]
