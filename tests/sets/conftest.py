"""Sets of small files, and a simulator that behaves as the checkpoint's content says."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

#: Appends a line to ``starts`` for each start, and does what the checkpoint says; without words it finishes.
_SIMULATOR = r"""#!/bin/bash
while [ "$1" ] && [ "$1" != -i ]; do shift; done
checkpoint=$2
here=$(dirname "$0")
echo "$checkpoint $$" >> "$here/starts"
read -r word value < "$checkpoint"
case $word in
    hang) bash -c 'trap "" TERM; while :; do sleep 1; done' & echo $! >> "$here/children"; wait;;
    wait) while [ ! -e "$here/go" ]; do sleep 0.05; done;;
    abort) echo "ABORT at pc 0x80000000"; exit 0;;
    silent) echo "nothing"; exit 0;;
    remove) rm "$value";;
    fill) head -c "$value" /dev/zero; echo;;
    cores) grep Cpus_allowed_list /proc/self/status;;
    crash) kill -SEGV $$;;
    once) [ -e "$here/again" ] || { touch "$here/again"; kill -KILL $$; };;
    killer)
        if [ ! -e "$here/killed" ]; then
            touch "$here/killed"
            sleep 1000 &
            echo $! >> "$here/children"
            kill -KILL $PPID
            wait
        fi;;
esac
echo "instrCnt = 2,000, cycleCnt = 1,000, IPC = ${IPC:-2.000000}"
echo "HIT GOOD TRAP at pc = 0x80000000"
"""


@pytest.fixture
def emu(tmp_path: Path) -> Path:
    path = tmp_path / "tools" / "emu"
    path.parent.mkdir()
    path.write_text(_SIMULATOR)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Path]:
    """``make_set({"mcf": {"1068": (0.25, "hang")}})``: weights, and what the simulator does."""

    def make(workloads: dict[str, dict[str, tuple[float, str]]], name: str = "set") -> Path:
        root = tmp_path / name
        for workload, points in workloads.items():
            for point, (weight, words) in points.items():
                folder = root / "checkpoint" / workload / point
                folder.mkdir(parents=True)
                (folder / f"_{point}_{weight:.6f}_memory_.zstd").write_text(words + "\n")
        return root

    return make


@pytest.fixture
def starts(emu: Path) -> Callable[[], list[str]]:
    """``starts()``: WORKLOAD_POINT of each start of the simulator, in order."""

    def read() -> list[str]:
        path = emu.with_name("starts")
        lines = path.read_text().splitlines() if path.exists() else []
        return ["_".join(Path(line.split(" ")[0]).parts[-3:-1]) for line in lines]

    return read
