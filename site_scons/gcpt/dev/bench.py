"""``scons bench`` (``python -m gcpt.dev.bench``): measures, prints, writes JSON, compares, and checks the budgets.

Exit status: 0 all budgets hold, 1 one does not, 2 wrong usage.
"""

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gcpt.build import toolchains
from gcpt.checkout import ROOT
from gcpt.console import format_number, format_table
from gcpt.dev import build_times, container_times, figures
from gcpt.dev.figures import Figures
from gcpt.errors import UserError
from gcpt.machines import qemu
from gcpt.machines.builds import build
from gcpt.machines.qemu import QemuError
from gcpt.machines.restores import CASES, CROWD, Restores
from gcpt.restorer.resolution import resolve

BUDGETS = ROOT / "tests/budgets.toml"
#: Restorers whose bytes are counted; those that cases name by their mode are also run.
RESTORERS = {
    **{mode: {"mode": mode, "platform": "qemu-virt"} for mode in ("single_core", "dual_core", "normal", "auto")},
    "single_core, xiangshan": {"mode": "single_core", "platform": "xiangshan"},
}


def progress(text: str) -> None:
    print(f"[BEN] {text}", file=sys.stderr, flush=True)


def measure(options: list[str], budgets: Figures, folder: Path, quick: bool) -> Figures:
    """Everything, of restorers built with ``options`` too; ``quick`` leaves out what a clock measures."""
    built = {}
    for name, own in RESTORERS.items():
        progress(f"build {name}")
        built[name] = build(ROOT, folder / f"build {name}", own, options)
    instructions: dict[str, float] = {}
    exact: dict[str, float] = {}
    compared: dict[str, float] = {}
    for case in CASES:
        progress(f"restore {case.name}")
        restores = Restores(case, built[case.mode], folder)
        limits = {name.removeprefix(case.name): limit for name, limit in budgets["instructions"].items()}
        instructions |= {case.name + part: number for part, number in restores.instructions(limits).items()}
        exact[case.name], compared[case.name] = restores.exact()
    result: Figures = {
        "instructions": instructions,
        "exact": exact,
        "compared": compared,
        "bytes": {name: one.image.stat().st_size for name, one in built.items()},
    }
    if not quick:
        progress(f"time {CROWD.name}")
        seconds = {f"{CROWD.name}, reset to all restored": Restores(CROWD, built[CROWD.mode], folder).seconds()}
        progress("time builds")
        times = build_times.measure(options, ROOT, folder)
        progress("time containers")
        ratios = {**times["ratio"], **container_times.measure(folder)["ratio"]}
        result |= {"seconds": {**seconds, **times["seconds"]}, "ratio": ratios}
        result |= build_times.measure_wrapper(ROOT, folder)
    return result


def machine(options: Mapping[str, str]) -> dict[str, str]:
    """What the figures were measured with: budgets hold for one version of the compiler only.

    options: those of the builds.
    """
    compiler = toolchains.presumed(resolve(options), os.environ)

    def first_line(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]

    return {
        "compiler": toolchains.versions(compiler, os.environ)["compiler"],
        "qemu": first_line(qemu.PROGRAM, "--version"),
        "python": platform.python_version(),
        "cpus": str(os.cpu_count()),
    }


def report(result: Figures, budgets: Figures) -> str:
    """Everything as tables, one for each kind."""

    def cell(kind: str, name: str) -> str:
        of = f" of {format_number(result['compared'][name])}" if kind == "exact" else ""
        return format_number(result[kind][name]) + of

    parts = []
    for kind in (kind for kind in result if kind != "compared"):
        if limits := budgets.get(kind):
            rows = [(name, cell(kind, name), format_number(limits.get(name))) for name in result[kind]]
            parts.append(format_table((kind, "measured", "budget"), rows, numbers=True))
        else:
            parts.append(
                format_table((kind, "measured"), [(name, cell(kind, name)) for name in result[kind]], numbers=True)
            )
    return "\n\n".join(parts)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gcpt.dev.bench", description="scons bench, with its own options")
    parser.add_argument("--json", type=Path, required=True, help="where the figures go")
    parser.add_argument("--compare", type=Path, help="figures of an earlier run")
    parser.add_argument("--quick", action="store_true", help="leave out what a clock measures")
    parser.add_argument("options", nargs="*", help="options of the builds, such as cross_compile=PREFIX")
    given = parser.parse_args(argv)
    budgets = figures.load_budgets(BUDGETS)
    options = dict(option.split("=", 1) for option in given.options)
    try:
        earlier = figures.load(given.compare) if given.compare else {}
        figures.check_writable(given.json)
        with tempfile.TemporaryDirectory(prefix="gcpt-bench-") as folder:
            result = measure(given.options, budgets, Path(folder), given.quick)
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    except (QemuError, subprocess.CalledProcessError) as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 1
    figures.save(given.json, machine(options), result)
    print(report(result, budgets))
    if given.compare:
        head = (f"compared with {given.compare}", "old", "new", "ratio")
        print(f"\n{format_table(head, figures.differences(earlier, result), numbers=True)}")
    beyond, better = figures.exceeded(result, budgets), figures.improved(result, budgets)
    for line in better:
        print(f"{BUDGETS.relative_to(ROOT)}: {line}")
    for line in beyond:
        print(f"{BUDGETS.relative_to(ROOT)}: {line}", file=sys.stderr)
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
