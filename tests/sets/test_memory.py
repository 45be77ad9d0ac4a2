"""Workers that fit into the free memory: of the machine, and of the control groups that this process is in."""

from pathlib import Path

import pytest
from command import gcpt

from gcpt.errors import UserError
from gcpt.sets import memory

_MIB = 1 << 20


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _group(limit: str, used: int, cached: int) -> dict[str, str]:
    stat = f"anon 1\ninactive_file {cached * _MIB}\nactive_file 7\n"
    return {"memory.max": f"{limit}\n", "memory.current": f"{used * _MIB}\n", "memory.stat": stat}


@pytest.mark.parametrize(
    ("limits", "free"),
    [
        pytest.param({}, 4000, id="no limit"),
        pytest.param({"a/b": ("max", 900, 0)}, 4000, id="max"),
        pytest.param({"a/b": (str(1000 * _MIB), 900, 50)}, 150, id="cached files make room"),
        pytest.param({"a": (str(600 * _MIB), 100, 0), "a/b": ("max", 90, 0)}, 500, id="the group above"),
        pytest.param({"": (str(700 * _MIB), 100, 0)}, 600, id="the root, as in a container"),
        pytest.param({"other": (str(_MIB), 0, 0)}, 4000, id="another group"),
        pytest.param({"a/b": (str(100 * _MIB), 900, 0)}, 0, id="over the limit"),
    ],
)
def test_free_memory(tmp_path: Path, limits: dict[str, tuple[str, int, int]], free: int) -> None:
    meminfo = f"MemTotal: 9999999 kB\nMemFree: 1 kB\nMemAvailable:    {4000 * 1024} kB\n"
    root = _write(tmp_path, {"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n"})
    for name, values in limits.items():
        _write(root / "sys/fs/cgroup" / name, _group(*values))
    assert memory.free(root) == free * _MIB


def test_a_system_that_does_not_tell(tmp_path: Path) -> None:
    assert memory.free(tmp_path) is None
    assert memory.fitting(8, None) == 8


def test_workers_that_fit(capsys: pytest.CaptureFixture[str]) -> None:
    assert memory.fitting(4, 4 * memory.NEED * _MIB) == 4
    assert capsys.readouterr().err == ""
    assert memory.fitting(5, 4 * memory.NEED * _MIB + _MIB) == 4
    assert "4 of 5 workers" in capsys.readouterr().err
    with pytest.raises(UserError, match="127 MiB of memory are free"):
        memory.fitting(1, memory.NEED * _MIB - 1)


def test_a_set_gets_no_more_workers(tmp_path: Path) -> None:
    image = tmp_path / "checkpoint/mcf/7/_7_0.500000_memory_.zstd"
    _write(tmp_path, {str(image.relative_to(tmp_path)): "nothing"})
    run = gcpt("set", "info", tmp_path, "-j", "100000000")
    assert run.returncode == 1 and "of 100000000 workers: each needs" in run.stderr
