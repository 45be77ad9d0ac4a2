"""The variants of ``scons matrix``, and the table of their results.

A matrix is a TOML file. Each table is a group of variants and its keys are options; a list makes one variant per item.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gcpt.console import format_number, format_table
from gcpt.errors import UserError
from gcpt.restorer import platforms
from gcpt.restorer.config import MODES, BuildConfig
from gcpt.restorer.resolution import resolve

#: The matrix without a file.
DEFAULT: dict[str, Any] = {"all": {"mode": list(MODES), "platform": list(platforms.BY_NAME)}}
#: The platform on which instructions are counted, and its command.
_COUNTED_ON, QEMU = "qemu-virt", "qemu-system-riscv64"
#: Options that apply to all variants of a run.
_RUN_OPTIONS = ("build_dir", "cache_dir")


@dataclass(frozen=True)
class VariantResult:
    """The result of one variant.

    Attributes:
        variant: The variant's name.
        size: Bytes of the image.
        instructions: Instructions of a restore of one hart; None if they cannot be counted.
        sha256: Digest of the image.
    """

    variant: str
    size: int
    instructions: int | None
    sha256: str


def load(path: Path) -> dict[str, Any]:
    """Read a matrix.

    Args:
        path: The TOML file.

    Returns:
        Groups by name.

    Raises:
        UserError: The file cannot be read or has another form.
    """
    try:
        groups = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"matrix={path}: {error.strerror}: want a TOML file of variants") from None
    except ValueError as error:
        raise UserError(f"matrix={path}: {error}") from None
    wrong = next((name for name, options in groups.items() if not isinstance(options, dict)), None)
    if wrong is not None or not groups:
        problem = f"{wrong} is outside a group" if wrong else "the file is empty"
        raise UserError(f"matrix={path}: {problem}: write [NAME] above the options")
    return groups


def configurations(groups: Mapping[str, Any], common: Mapping[str, str], name: str) -> list[BuildConfig]:
    """Expand a matrix.

    Args:
        groups: The groups of the matrix.
        common: Option values of all variants; groups take precedence.
        name: The matrix's name, for messages.

    Returns:
        The configurations, each once.

    Raises:
        UserError: An option of a group is invalid, or a group has no variant.
    """
    configs: dict[str, BuildConfig] = {}
    for group, options in groups.items():
        choices = [value if isinstance(value, list) else [value] for value in options.values()]
        if [] in choices:
            empty = list(options)[choices.index([])]
            raise UserError(f"{name}: [{group}]: {empty} = [] makes no variant: remove it, or add a value")
        for values in product(*choices):
            texts = {option: str(value) for option, value in zip(options, values, strict=True)}
            if run_options := [option for option in _RUN_OPTIONS if option in texts]:
                raise UserError(
                    f"{name}: [{group}]: {run_options[0]}= applies to all variants: set it on the command line"
                )
            try:
                config = resolve({**common, **texts})
            except UserError as error:
                raise UserError(f"{name}: [{group}]: {error}") from None
            configs.setdefault(config.variant, config)
    return list(configs.values())


def countable(config: BuildConfig) -> bool:
    """Whether the instructions of a restore of one hart can be counted on stock QEMU.

    Args:
        config: The restorer's configuration.

    Returns:
        True for an image in memory without payload that restores hart 0.
    """
    same_machine = config.platform == platforms.BY_NAME[_COUNTED_ON]
    return same_machine and not (config.flash or config.payload or 0 in config.stop_cpu)


def line(result: VariantResult) -> str:
    """Format the line of a variant that is built.

    Args:
        result: The variant's result.

    Returns:
        Its name, size and number of instructions.
    """
    instructions = "" if result.instructions is None else f", {result.instructions:,} instructions"
    return f"{result.variant}: {result.size:,} bytes{instructions}"


def summary(variants: list[str], result_of: Callable[[str], VariantResult | None]) -> str:
    """Format the table of results.

    Args:
        variants: The variants' names.
        result_of: Returns the result of a variant, or None if it failed.

    Returns:
        The table, with failed variants last, and a line with their number.
    """
    rows, failed = [], []
    for variant in variants:
        if result := result_of(variant):
            rows.append((variant, format_number(result.size), format_number(result.instructions), result.sha256))
        else:
            failed.append((variant, "failed", "", ""))
    table = format_table(("variant", "bytes", "instructions", "sha256"), [*rows, *failed], numbers=True)
    ends = f"{len(rows)} of {len(variants)} variants built"
    names = f"; failed: {', '.join(name for name, *_ in failed)}" if failed else ""
    return f"{table}\n{ends}{names}"
