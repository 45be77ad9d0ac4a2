"""Lines of concurrent threads are not mixed."""

import io
import sys
import threading

from gcpt import console

THREADS, EACH = 4, 500


def test_lines_of_several_threads_stay_whole(monkeypatch):
    out = io.TextIOWrapper(
        io.BytesIO(), write_through=True
    )  # a thread switch is possible at each write, as with a pipe
    monkeypatch.setattr(sys, "stdout", out)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda name=name: [console.say(f"thread {name} line {n}") for n in range(EACH)])
            for name in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    lines = out.buffer.getvalue().decode().splitlines()
    assert sorted(lines) == sorted(f"thread {name} line {n}" for name in range(THREADS) for n in range(EACH))
