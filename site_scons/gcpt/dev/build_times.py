"""Times of builds as whole processes, in seconds and as ratios to an empty SConstruct."""

import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from gcpt.dev.figures import Figures
from gcpt.machines.builds import environment
from gcpt.restorer.options import NO_OPTIONS_FILE

_ROUNDS, _RUNS = 5, 101
_MODES = ("normal", "dual_core")


def _seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(options: list[str], root: Path, folder: Path) -> Figures:
    """Measure builds. Just before each, run SCons with an empty SConstruct as the reference of its ratio.

    Args:
        options: Options of every build.
        root: The project.
        folder: A temporary folder.

    Returns:
        Medians of seconds and of ratios.

    Raises:
        subprocess.CalledProcessError: A build fails.
    """
    scons = [str(Path(sys.executable).with_name("scons")), NO_OPTIONS_FILE, *options]
    seconds: dict[str, list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    bare, out = folder / "bare", folder / "out"
    bare.mkdir()
    (bare / "SConstruct").touch()

    def timed(name: str, mode: str, *options: str) -> float:
        reference = _seconds(scons[:1], bare)
        elapsed = _seconds([*scons, f"mode={mode}", f"build_dir={out}", *options], root)
        seconds["scons alone"].append(reference)
        seconds[f"{mode}: {name}"].append(elapsed)
        ratios[f"{mode}: {name} / scons alone"].append(elapsed / reference)
        return elapsed

    for mode in _MODES:
        for _ in range(_ROUNDS):
            shutil.rmtree(out, ignore_errors=True)
            clean = timed("clean build", mode)
            timed("nothing to do", mode)
            changed = timed("one option changed", mode, "stop_cpu=1")
            ratios[f"{mode}: one option changed / clean build"].append(changed / clean)
            timed("back to an earlier variant", mode)
    return {"seconds": _medians(seconds), "ratio": _medians(ratios)}


def measure_wrapper(root: Path, folder: Path) -> Figures:
    """Measure the overhead of ./sconsw in a project that is set up.

    The command ``true`` replaces SCons, whose time varies by more than the overhead; its own time is subtracted.

    Args:
        root: The project.
        folder: A temporary folder.

    Returns:
        The median, in milliseconds.

    Raises:
        subprocess.CalledProcessError: ./sconsw fails.
    """
    project, true = folder / "set up", shutil.which("true") or "/bin/true"
    stamps = {".venv/gcpt.stamp": f"{project}/.venv\n", "build/third_party/system.stamp": "build\n"}
    stamps["build/third_party/picolibc/gcpt.stamp"] = ""
    for stamp, text in stamps.items():
        (project / stamp).parent.mkdir(parents=True, exist_ok=True)
        (project / stamp).write_text(text)
    for name in ("requirements.txt", "site_scons", "third_party"):
        (project / name).symlink_to(root / name)
    (project / ".venv/bin").mkdir()
    for name in ("python", "scons"):
        (project / ".venv/bin" / name).symlink_to(true)
    wrapper = str(shutil.copy(root / "sconsw", project))
    added = [_seconds([wrapper, "--version"], project) - _seconds([true, "--version"], project) for _ in range(_RUNS)]
    return {"milliseconds": {"added by ./sconsw": 1000 * median(added)}}


def _medians(values: dict[str, list[float]]) -> dict[str, float]:
    return {name: median(numbers) for name, numbers in values.items()}
