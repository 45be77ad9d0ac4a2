"""The workers of the embedded engine: what ends with whom."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command import ENVIRONMENT, wait_until

from gcpt.sets.pool import Pool, WorkerKilledError, core_sets

_CLIENT = """
import os, sys
from gcpt.sets.pool import Pool
if __name__ == "__main__":
    pool = Pool(2)
    print(pool.submit(os.getpid).result(), flush=True)
    pool.submit(eval, "__import__('time').sleep(1000)").result()
"""


def _is_alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_workers_stay_alive() -> None:
    with Pool(2) as pool:
        numbers = {future.result() for future in [pool.submit(os.getpid) for _ in range(50)]}
    assert 1 <= len(numbers) <= 2 and os.getpid() not in numbers
    assert not any(map(_is_alive, numbers))


def test_an_exception_of_a_task_reaches_its_future() -> None:
    with Pool(1) as pool:
        number = pool.submit(os.getpid).result()
        with pytest.raises(FileNotFoundError):
            pool.submit(os.stat, "/nowhere").result()
        assert pool.submit(os.getpid).result() == number


def test_a_killed_worker_takes_only_its_task() -> None:
    with Pool(2) as pool:
        other = pool.submit(eval, "__import__('time').sleep(1) or __import__('os').getpid()")
        victim = pool.submit(eval, "__import__('os').kill(__import__('os').getpid(), 9)")
        with pytest.raises(WorkerKilledError, match=f"status -{int(signal.SIGKILL)}"):
            victim.result()
        assert other.result() and pool.submit(os.getpid).result()


def test_workers_end_with_a_killed_client(tmp_path: Path) -> None:
    script = tmp_path / "client.py"
    script.write_text(_CLIENT)
    with subprocess.Popen([sys.executable, script], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout
        worker = int(client.stdout.readline())
        assert _is_alive(worker)
        client.kill()
    wait_until(lambda: not _is_alive(worker))


def test_cores() -> None:
    """Every core belongs to one worker."""
    free = os.sched_getaffinity(0)
    parts = core_sets(1)
    assert sorted(core for part in parts for core in part) == sorted(free)
    with Pool(len(parts), parts) as pool:
        seen = {frozenset(pool.submit(os.sched_getaffinity, 0).result()) for _ in range(4)}
    assert seen <= {frozenset(part) for part in parts}
    assert core_sets(len(free) + 1) == [tuple(core_sets(len(free))[0])]
