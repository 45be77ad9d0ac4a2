"""``scons bench`` (``python -m gcpt.dev.bench``): measure figures, compare them with an earlier run and the budgets.

Exit status: 0 within all budgets, 1 a budget exceeded or a measurement failed, 2 bad usage.
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
from gcpt.dev import build_times, container_times, figures, replay_times, set_archives, set_times, swap_times
from gcpt.dev.figures import Figures
from gcpt.errors import SimulatorError, UserError
from gcpt.machines import qemu
from gcpt.machines.builds import build
from gcpt.machines.qemu import QemuError
from gcpt.machines.restores import CASES, CROWD, Restores, cycles, with_rva23
from gcpt.restorer.resolution import resolve

BUDGETS = ROOT / "tests/budgets.toml"
#: The restorers to build and their options. Cases name the one that they run.
RESTORERS = {
    **{mode: {"mode": mode, "platform": "qemu-virt"} for mode in ("single_core", "dual_core", "normal", "auto")},
    **{
        f"single_core, csrs={csrs}": {"mode": "single_core", "platform": "qemu-virt", "csrs": csrs}
        for csrs in ("rva22", "rv64gc")
    },
    "single_core, xiangshan": {"mode": "single_core", "platform": "xiangshan"},
    **{f"single_core, {name}": {"mode": "single_core", "platform": name} for name in ("rocket", "spike")},
}


def progress(text: str) -> None:
    """Print a step on standard error.

    Args:
        text: The step.
    """
    print(f"[BEN] {text}", file=sys.stderr, flush=True)


def measure(options: list[str], folder: Path, quick: bool) -> Figures:
    """Measure all figures.

    Args:
        options: Options of every build, such as ``cross_compile=PREFIX``.
        folder: A temporary folder.
        quick: Whether to leave out times.

    Returns:
        The figures.

    Raises:
        QemuError: A restore fails in QEMU.
        UserError: Spike is not installed.
        SimulatorError: A restore fails on Spike or Rocket's RTL.
        subprocess.CalledProcessError: A build fails.
    """
    built = {}
    for name, settings in RESTORERS.items():
        progress(f"build {name}")
        built[name] = build(ROOT, folder / f"build {name}", settings, options)
    instructions: dict[str, float] = {}
    exact: dict[str, float] = {}
    compared: dict[str, float] = {}
    for case in CASES:
        progress(f"restore {case.name}")
        restores = Restores(case, built[case.restorer], folder)
        instructions |= {case.name + part: number for part, number in restores.instructions().items()}
        exact[case.name], compared[case.name] = restores.exact()
    progress("restore on Spike with RVA23")
    counted = with_rva23(built["single_core, spike"], folder)
    instructions |= {f"single_core, spike with RVA23, {mode}": number for mode, number in counted.items()}
    progress("restore on Rocket's RTL (the first time, its simulator is built: about a minute)")
    clocked = cycles(built["single_core, rocket"], folder)
    result: Figures = {
        "instructions": instructions,
        "cycles": {f"single_core, rocket, memory latency {latency}": count for latency, count in clocked.items()},
        "exact": exact,
        "compared": compared,
        "bytes": {name: restorer.image.stat().st_size for name, restorer in built.items()},
    }
    if not quick:
        progress(f"time {CROWD.name}")
        seconds = {f"{CROWD.name}, reset to all restored": Restores(CROWD, built[CROWD.mode], folder).seconds()}
        progress("time builds")
        times = build_times.measure(options, ROOT, folder)
        progress("time sets")
        sets = set_times.measure(folder)["seconds"]
        progress("measure archives of sets")
        archives = set_archives.measure(folder)["ratio"]
        progress("time containers")
        progress("time swaps")
        restorers = built["single_core"].image, built["single_core, csrs=rva22"].image
        swaps = swap_times.measure(folder, restorers)["ratio"]
        containers = container_times.measure(folder)["ratio"]
        progress("time record and replay")
        replays = replay_times.measure(folder)
        ratios = {**times["ratio"], **archives, **swaps, **containers, **replays["ratio"]}
        result |= {**replays, "seconds": {**seconds, **times["seconds"], **sets}, "ratio": ratios}
        result |= build_times.measure_wrapper(ROOT, folder)
    return result


def machine(options: Mapping[str, str]) -> dict[str, str]:
    """Describe the measuring machine; budgets hold only for one version of the compiler.

    Args:
        options: The options of the builds.

    Returns:
        Versions of the compiler, QEMU and Python, and the number of processors.
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
    """Format all figures.

    Args:
        result: The figures.
        budgets: The budgets.

    Returns:
        One table per kind of figure.
    """

    def cell(kind: str, name: str) -> str:
        compared = f" of {format_number(result['compared'][name])}" if kind == "exact" else ""
        return format_number(result[kind][name]) + compared

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
    """Run the bench.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m gcpt.dev.bench", description="Measure restorers and builds.")
    parser.add_argument("--json", type=Path, required=True, help="the file for the figures")
    parser.add_argument("--compare", type=Path, help="figures of an earlier run to compare with")
    parser.add_argument("--quick", action="store_true", help="leave out times")
    parser.add_argument("options", nargs="*", help="options of the builds, such as cross_compile=PREFIX")
    arguments = parser.parse_args(argv)
    budgets = figures.load_budgets(BUDGETS)
    options = dict(option.split("=", 1) for option in arguments.options)
    try:
        earlier = figures.load(arguments.compare) if arguments.compare else {}
        figures.check_writable(arguments.json)
        with tempfile.TemporaryDirectory(prefix="gcpt-bench-") as folder:
            result = measure(arguments.options, Path(folder), arguments.quick)
    except UserError as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 2
    except (QemuError, SimulatorError, subprocess.CalledProcessError) as error:
        print(f"gcpt: {error}", file=sys.stderr)
        return 1
    figures.save(arguments.json, machine(options), result)
    print(report(result, budgets))
    if arguments.compare:
        head = (f"compared with {arguments.compare}", "old", "new", "ratio")
        print(f"\n{format_table(head, figures.differences(earlier, result), numbers=True)}")
    exceeded, improved = figures.exceeded(result, budgets), figures.improved(result, budgets)
    for line in improved:
        print(f"{BUDGETS.relative_to(ROOT)}: {line}")
    for line in exceeded:
        print(f"{BUDGETS.relative_to(ROOT)}: {line}", file=sys.stderr)
    return 1 if exceeded else 0


if __name__ == "__main__":
    sys.exit(main())
