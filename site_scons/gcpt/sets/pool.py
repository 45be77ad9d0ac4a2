"""The embedded engine: processes on this machine that stay alive, with the interface of concurrent.futures.

Each worker belongs to one thread here. When a worker is killed, only its task is lost, and the thread starts another
worker. A worker ends when this process ends, however it ends.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

#: Fork would copy the locks of this process's threads.
_CONTEXT = multiprocessing.get_context("spawn")
#: Seconds for a worker to stop its simulator after SIGTERM.
_END = 15
#: Where Linux lists the cores of each NUMA node.
_NODES = Path("/sys/devices/system/node")


class WorkerKilledError(Exception):
    """A worker ended in the middle of a task."""


def core_sets(size: int) -> list[tuple[int, ...]]:
    """Divide the cores that this process may use; a part lies in one NUMA node where possible.

    Args:
        size: Cores in each part.

    Returns:
        The numbers of the cores in each part; at least one part.
    """
    free = os.sched_getaffinity(0)
    ordered = [core for node in _numa_nodes() for core in node if core in free]
    ordered += sorted(free - set(ordered))
    parts = [tuple(ordered[start : start + size]) for start in range(0, len(ordered) - size + 1, size)]
    return parts or [tuple(ordered)]


def _numa_nodes() -> list[list[int]]:
    nodes = []
    with suppress(OSError):
        nodes += [_cores(path.read_text(encoding="ascii").strip()) for path in sorted(_NODES.glob("node*/cpulist"))]
    return nodes


def _cores(text: str) -> list[int]:
    """The numbers in a list such as ``0-3,8``."""
    cores: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return cores


def _work(connection: Connection, cores: Sequence[int]) -> None:
    """Do tasks until the other end is closed, or the connection fails, which the client sees."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the client, which ends the workers
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_watch_client, daemon=True).start()
    if cores:
        os.sched_setaffinity(0, cores)
    with suppress(EOFError, OSError):
        while True:
            function, arguments = connection.recv()
            try:
                answer = (True, function(*arguments))
            except Exception as error:
                answer = (False, error)
            connection.send(answer)


def _stop(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def _watch_client() -> None:
    """Stop the worker when the client ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # which the thread that works may block
    client = multiprocessing.parent_process()
    if client:
        client.join()
        os.kill(os.getpid(), signal.SIGTERM)


class _Slot:
    """A worker, which is started when the first task comes, and after it was killed."""

    def __init__(self, cores: Sequence[int]) -> None:
        self._cores = cores
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None
        self._joining = threading.Lock()  # two threads that wait for one process would lose its status

    def call(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        if self._process is None or not self._process.is_alive():
            self._start()
        assert self._process and self._connection
        try:
            self._connection.send((function, arguments))
            is_done, value = self._connection.recv()
        except (EOFError, OSError) as error:
            self._process.terminate()  # unless it ended, it cannot be reached
            self._join(None)
            if isinstance(error, EOFError | ConnectionError):
                raise WorkerKilledError(f"the worker ended with status {self._process.exitcode}") from None
            raise WorkerKilledError(f"the connection to the worker failed: {error.strerror}") from None
        if not is_done:
            raise value
        result: T = value
        return result

    def _start(self) -> None:
        self._connection, other = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_work, args=(other, self._cores), daemon=True)
        self._process.start()
        other.close()

    def _join(self, seconds: float | None) -> None:
        assert self._process
        with self._joining:
            self._process.join(seconds)

    def terminate(self) -> None:
        """Let the worker stop its simulator and end."""
        if self._process:
            self._process.terminate()

    def end(self) -> None:
        """End the worker, which has no task or was terminated."""
        if self._process is None or self._connection is None:
            return
        self._connection.close()
        self._join(_END)
        if self._process.is_alive():
            self._process.kill()
            self._join(None)


class Pool(Executor):
    """Workers on this machine."""

    def __init__(self, workers: int, cores: Sequence[tuple[int, ...]] = ()) -> None:
        """Prepare the workers; each starts with its first task.

        Args:
            workers: Their number.
            cores: The cores of each worker; empty to leave that to the system.
        """
        self._slots = [_Slot(cores[number % len(cores)] if cores else ()) for number in range(workers)]
        self._free = list(self._slots)
        self._threads = ThreadPoolExecutor(workers)

    def submit(self, function: Callable[..., T], /, *arguments: Any, **options: Any) -> "Future[T]":
        """Let a worker call a function.

        Args:
            function: A function of a module.
            arguments: Its arguments, which can be pickled.
            options: None.

        Returns:
            The future of its result; its exception is a WorkerKilledError if the worker is killed.
        """
        return self._threads.submit(self._call, function, arguments)

    def _call(self, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        slot = self._free.pop()  # list.pop and append are atomic, and there are as many slots as threads
        try:
            return slot.call(function, arguments)
        finally:
            self._free.append(slot)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers.

        Args:
            wait: Whether tasks that have begun may end; without it, workers stop their simulators and end.
            cancel_futures: Whether tasks that have not begun are dropped.
        """
        if not wait:
            cancel_futures = True
            for slot in self._slots:
                slot.terminate()
        self._threads.shutdown(wait=True, cancel_futures=cancel_futures)
        for slot in self._slots:
            slot.end()
