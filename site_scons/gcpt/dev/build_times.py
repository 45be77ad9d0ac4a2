"""How long builds take, as whole processes: seconds, and how often the time of an empty SConstruct beside each."""

import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from gcpt.dev.figures import Figures
from gcpt.machines.builds import environment

_ROUNDS, _RUNS = 5, 101
_MODES = ("normal", "dual_core")


def _seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def measure(options: list[str], root: Path, folder: Path) -> Figures:
    """Medians, in ``folder``; each build has a bare run of SCons just before it, to be divided by.

    options: of all builds.
    """
    none = folder / "no.options"  # the user's own gcpt.options would change what is measured
    none.touch()
    scons = [str(Path(sys.executable).with_name("scons")), f"options_file={none}", *options]
    seconds: dict[str, list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    bare, out = folder / "bare", folder / "out"
    bare.mkdir()
    (bare / "SConstruct").touch()

    def timed(name: str, mode: str, *options: str) -> float:
        alone = _seconds(scons[:1], bare)
        taken = _seconds([*scons, f"mode={mode}", f"build_dir={out}", *options], root)
        seconds["scons alone"].append(alone)
        seconds[f"{mode}: {name}"].append(taken)
        ratios[f"{mode}: {name} / scons alone"].append(taken / alone)
        return taken

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
    """What ./sconsw adds, in milliseconds: where all is set up and "scons" is the command true, which is taken off.

    SCons itself takes a hundred times that, and varies by more.
    """
    project, true = folder / "set up", shutil.which("true") or "/bin/true"
    stamps = {".venv/gcpt.stamp": f"{project}/.venv\n", "build/third_party/system.stamp": "build\n"}
    stamps |= {f"build/third_party/{name}/gcpt.stamp": "" for name in ("nanopb", "picolibc")}
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
    return {name: median(several) for name, several in values.items()}
