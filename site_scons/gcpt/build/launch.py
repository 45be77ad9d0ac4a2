"""Options and commands of ``scons run``, ``debug`` and ``debug-server``.

These targets start ``gcpt run`` and ``gcpt debug`` with the restorer that the options build.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcpt.errors import UserError
from gcpt.restorer.config import BuildConfig
from gcpt.restorer.options import GDB_PORT

TARGETS = ("run", "debug", "debug-server")
#: The platform of stock QEMU, and the mode that restores every checkpoint.
_DEFAULTS = {"platform": "qemu-virt", "mode": "auto"}
#: Options that describe a machine, possibly another one than QEMU's virt.
_MACHINE = ("platform", "clint", "uart", "flash", "ram")
#: Options of a run of SCons, not of its outputs.
_RUN_OPTIONS = ("ide", "options_file", "save_options", "pytest_args", "bench_json", "bench_compare", "bench_quick")


def with_defaults(values: Mapping[str, str], targets: Sequence[str]) -> dict[str, str]:
    """Apply the defaults of a run in QEMU, if a target is one.

    Args:
        values: Option values by name.
        targets: The targets of this run of SCons.

    Returns:
        The option values.

    Raises:
        UserError: There are two such targets, or an option does not fit QEMU's virt machine.
    """
    launches = [target for target in targets if target in TARGETS]
    if not launches:
        return dict(values)
    if len(launches) > 1:
        raise UserError(f"{' and '.join(launches)} both need the terminal: name one of them")
    chosen = {**values, **{name: values.get(name) or value for name, value in _DEFAULTS.items()}}
    if chosen["platform"] != _DEFAULTS["platform"]:
        raise UserError(
            f"platform={chosen['platform']}: {launches[0]} uses QEMU's virt machine: remove platform=, or set qemu-virt"
        )
    if values.get("flash") == "1":
        raise UserError(f"flash=1: {launches[0]} loads the restorer into memory: remove it, or use gcpt run --flash")
    if values.get("ckpt") and not Path(values["ckpt"]).is_file():
        problem = "not a file" if Path(values["ckpt"]).exists() else "no such file"
        raise UserError(f"ckpt={values['ckpt']}: {problem}: give an absolute path, or one relative to SConstruct")
    return chosen


def for_qemu(values: Mapping[str, str]) -> dict[str, str]:
    """Convert options for any machine to options for a run in QEMU.

    Args:
        values: Option values by name.

    Returns:
        The option values for QEMU's virt machine.
    """
    portable = {name: value for name, value in values.items() if name not in _MACHINE}
    return with_defaults(portable, [TARGETS[0]])


def as_arguments(wanted: Mapping[str, str], configured: Mapping[str, str]) -> list[str]:
    """Format options as arguments of ``scons`` that also override an options file.

    Args:
        wanted: The option values of the command.
        configured: Option values that an options file may set; those not wanted are reset.

    Returns:
        Arguments, such as ``mode=auto`` and ``uart=``.
    """
    names = [name for name in {**wanted, **configured} if name not in _RUN_OPTIONS]
    return [f"{name}={wanted.get(name, '')}" for name in names if wanted.get(name) or configured.get(name)]


def script(config: BuildConfig) -> Path:
    """The file in which debug-server writes commands for gdb.

    Args:
        config: The restorer's configuration.

    Returns:
        The path.
    """
    return config.variant_dir / "gcpt-gdb.py"


def command(target: str, config: BuildConfig, checkpoint: str, gdb_port: str) -> list[str]:
    """The command that a target starts in the project's folder.

    Args:
        target: One of TARGETS.
        config: The restorer's configuration.
        checkpoint: The checkpoint's file.
        gdb_port: The port of debug-server; "" for the default.

    Returns:
        The command and its arguments.
    """
    image, elf = (str(config.variant_dir / name) for name in ("gcpt.bin", "gcpt.elf"))
    gcpt = [sys.executable, "-m", "gcpt"]
    if target == "run":
        return [*gcpt, "run", checkpoint, "--restorer", image]
    debug = [*gcpt, "debug", checkpoint, "--restorer", image, "--script", str(script(config))]
    if target == "debug":
        return [*debug, "--from-reset", "--symbols", elf]
    return [*debug, "--server", gdb_port or GDB_PORT]
