"""``scons matrix``: a set of variants, by name, and the table that sums up what became of them.

A matrix is TOML: each table is a group of variants, its keys are options, and a list stands for one variant per entry.
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

#: What is built where no file is named.
DEFAULT: dict[str, Any] = {"all": {"mode": list(MODES), "platform": list(platforms.BY_NAME)}}
#: The machine on which instructions are counted, and the command that is it.
_COUNTED_ON, QEMU = "qemu-virt", "qemu-system-riscv64"
#: Options of a run, which no variant has of its own.
_OF_RUN = ("build_dir", "cache_dir")


@dataclass(frozen=True)
class VariantResult:
    """What became of one variant. size: bytes of the image. instructions: None where they cannot be counted."""

    variant: str
    size: int
    instructions: int | None
    sha256: str


def load(path: Path) -> dict[str, Any]:
    """The groups of the file ``path``; UserError where it is none of this form."""
    try:
        groups = tomllib.loads(path.read_text())
    except OSError as error:
        raise UserError(f"matrix={path}: {error.strerror}: name a TOML file of variants") from None
    except ValueError as error:
        raise UserError(f"matrix={path}: {error}") from None
    wrong = next((name for name, options in groups.items() if not isinstance(options, dict)), None)
    if wrong is not None or not groups:
        raise UserError(f"matrix={path}: {wrong or 'nothing'} stands outside a group: write [NAME] above the options")
    return groups


def configurations(groups: Mapping[str, Any], common: Mapping[str, str], name: str) -> list[BuildConfig]:
    """One configuration for each variant of ``groups``, each once; ``common`` is for all where a group says nothing.

    UserError, which names the file ``name`` and the group, where one is wrong or is of no variant.
    """
    found: dict[str, BuildConfig] = {}
    for group, options in groups.items():
        choices = [value if isinstance(value, list) else [value] for value in options.values()]
        if [] in choices:
            empty = list(options)[choices.index([])]
            raise UserError(f"{name}: [{group}]: {empty} = [] makes no variant: leave it out, or give it a value")
        for values in product(*choices):
            texts = {option: str(value) for option, value in zip(options, values, strict=True)}
            if of_run := [option for option in _OF_RUN if option in texts]:
                raise UserError(f"{name}: [{group}]: {of_run[0]}= is for all variants: give it on the command line")
            try:
                config = resolve({**common, **texts})
            except UserError as error:
                raise UserError(f"{name}: [{group}]: {error}") from None
            found.setdefault(config.variant, config)
    return list(found.values())


def countable(config: BuildConfig) -> bool:
    """Whether a restore of one hart can be counted on stock QEMU: from memory, hart 0 not parked, no payload."""
    machine = config.platform == platforms.BY_NAME[_COUNTED_ON]
    return machine and not (config.flash or config.payload or 0 in config.stop_cpu)


def line(result: VariantResult) -> str:
    """What is said when one variant is built."""
    counted = "" if result.instructions is None else f", {result.instructions:,} instructions"
    return f"{result.variant}: {result.size:,} bytes{counted}"


def summary(variants: list[str], result_of: Callable[[str], VariantResult | None]) -> str:
    """The table: those that failed, of which there is no result, last."""
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
