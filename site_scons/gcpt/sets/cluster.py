"""The workers of a Dask scheduler, with the interface of concurrent.futures."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any, TypeVar

from gcpt.errors import UserError

T = TypeVar("T")

_REMEDY = "pip install 'gcpt[set]'"
#: Seconds for a scheduler to answer, and between two looks whether it is still there.
_ANSWER, _LOOK = 10, 0.5


class SchedulerLostError(Exception):
    """The scheduler ended or cannot be reached, so answers no longer arrive."""


class Cluster(Executor):
    """The workers of a scheduler. Once the scheduler is lost, every future ends with a SchedulerLostError."""

    def __init__(self, client: Any) -> None:
        """Use a client.

        Args:
            client: A client of Dask, which is connected.
        """
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._open: dict[Future[Any], Future[Any]] = {}
        self._lock = threading.Lock()
        self._is_lost = False
        self._is_closed = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def submit(self, function: Callable[..., T], /, *arguments: Any, **options: Any) -> "Future[T]":
        """Let a worker call a function.

        Args:
            function: A function of a module.
            arguments: Its arguments, which can be pickled.
            options: None.

        Returns:
            The future of its result.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        try:
            answer = self._executor.submit(function, *arguments)
        except Exception:
            if self._is_connected():
                raise
            future.set_exception(_lost())
            return future
        with self._lock:
            is_lost = self._is_lost
            if not is_lost:
                self._open[future] = answer
        if is_lost:
            future.set_exception(_lost())
        else:
            answer.add_done_callback(lambda done: self._settle(future, done))
        return future

    def _settle(self, future: "Future[Any]", answer: "Future[Any] | None") -> None:
        """End a future, once, with an answer; without one the scheduler is lost."""
        with self._lock:
            if self._open.pop(future, None) is None:
                return
        try:
            if answer is None:
                raise _lost()
            future.set_result(answer.result())
        except BaseException as error:  # CancelledError, too
            future.set_exception(error)

    def _watch(self) -> None:
        """End the futures when the scheduler is lost: Dask does not end all of them then."""
        while not self._is_closed.wait(_LOOK):
            if not self._is_connected():
                with self._lock:
                    self._is_lost = True
                    lost = list(self._open)
                for future in lost:
                    self._settle(future, None)

    def _is_connected(self) -> bool:
        connection = self._client.scheduler_comm
        return self._client.status == "running" and connection is not None and not connection.closed()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler; its workers stay.

        Args:
            wait: Whether to wait for all tasks; without it, tasks that have not begun are dropped.
            cancel_futures: The same as not to wait.
        """
        if wait and not cancel_futures:
            with self._lock:
                futures = list(self._open)
            for future in futures:
                future.exception()
        self._is_closed.set()
        with suppress(TimeoutError):  # the scheduler is lost
            self._client.close()


def _lost() -> SchedulerLostError:
    return SchedulerLostError("the scheduler ended, or cannot be reached any more")


def _distributed() -> Any:
    """Import Dask, which only clusters need."""
    try:
        return import_module("distributed")
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which dask:// needs: {_REMEDY}") from error


@contextmanager
def on_dask(address: str) -> Iterator[Executor]:
    """Use the workers of a Dask scheduler that runs already.

    Args:
        address: HOST:PORT.

    Yields:
        The executor.

    Raises:
        UserError: Dask is not installed, or no scheduler answers.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(f"tcp://{address}", timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UserError(f"dask://{address}: no scheduler answers: start one with dask scheduler") from error
    executor = Cluster(client)
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False)
        raise
    executor.shutdown()
