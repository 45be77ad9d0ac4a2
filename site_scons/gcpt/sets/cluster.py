"""The workers of a Dask scheduler, with the interface of concurrent.futures."""

import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any, TypeVar

from gcpt.errors import UserError, one_line
from gcpt.sets.fitness import check_workers
from gcpt.sets.process import end_worker

T = TypeVar("T")

_REMEDY = "pip install 'gcpt[set]'"
#: Seconds for a scheduler to answer, and between two looks whether it is still there.
_ANSWER, _LOOK = 10, 0.5
#: How often a folder is removed that workers write into.
_REMOVALS = 10
#: Dask's settings for a scheduler in this process: a worker gets its next point when it is free, not before.
SCHEDULING = {"distributed.scheduler.worker-saturation": 1.0}
#: A port of this host alone, for the HTTP servers that Dask always starts.
HTTP = "127.0.0.1:0"
#: The schemes of a scheduler that runs already, with those that Dask calls them.
PROTOCOLS = {"dask": "tcp", "tls": "tls"}
_ADDRESS = re.compile(r"//(?:[\w.%-]+|\[[\w:.%]+\]):(?P<port>\d{1,5})")
_MAX_PORT = 65535
#: The files of a TLS connection: attributes of Dask's ``Security``, and their names in its configuration.
_CERTIFICATES = {"tls_ca_file": "ca-file", "tls_client_cert": "client.cert", "tls_client_key": "client.key"}
_SCHEDULER_LOST = "the scheduler ended, or cannot be reached any more"


class ClusterLostError(Exception):
    """The scheduler ended or cannot be reached, or no worker is left, so answers no longer arrive."""


class WorkersKilledError(Exception):
    """Every worker that had a task ended."""


class Cluster(Executor):
    """The workers of a scheduler. Once they are lost, every future ends with a ClusterLostError."""

    def __init__(self, client: Any, loss: Callable[[], str] = str) -> None:
        """Use a client.

        Args:
            client: A client of Dask, which is connected.
            loss: Returns why no worker can come any more; "" as long as one can.
        """
        self._client = client
        self._executor = client.get_executor(pure=False)
        self._open: dict[Future[Any], Future[Any]] = {}
        self._lock = threading.Lock()
        self._killed_error = import_module("distributed").KilledWorker
        self._find_loss = loss
        self._loss = ""
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
            future.set_exception(ClusterLostError(_SCHEDULER_LOST))
            return future
        with self._lock:
            loss = self._loss
            if not loss:
                self._open[future] = answer
        if loss:
            future.set_exception(ClusterLostError(loss))
        else:
            answer.add_done_callback(lambda done: self._settle(future, done))
        return future

    def _settle(self, future: "Future[Any]", answer: "Future[Any] | None") -> None:
        """End a future, once, with an answer; without one the workers are lost."""
        with self._lock:
            if self._open.pop(future, None) is None:
                return
        try:
            if answer is None:
                raise ClusterLostError(self._loss)
            future.set_result(answer.result())
        except self._killed_error as error:
            future.set_exception(WorkersKilledError(_killed(error)))
        except BaseException as error:  # CancelledError, too
            future.set_exception(error)

    def _watch(self) -> None:
        """End the futures when the workers are lost: Dask does not end all of them then."""
        while not self._is_closed.wait(_LOOK):
            if loss := self._find_loss() if self._is_connected() else _SCHEDULER_LOST:
                with self._lock:
                    self._loss = loss
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


def _killed(error: Any) -> str:
    worker = error.last_worker
    return f"workers that ended during it: {error.allowed_failures + 1}, the last one {worker.name} at {worker.address}"


def import_extra(name: str, engine: str) -> Any:
    """Import a module of the extra gcpt[set], which only clusters need.

    Args:
        name: The module.
        engine: The engine that needs it, for the message.

    Returns:
        The module.

    Raises:
        UserError: It is not installed.
    """
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        return import_module(name)
    except ImportError as error:
        raise UserError(f"{error.name} is not installed, which {engine} needs: {_REMEDY}") from error
    finally:
        signal.signal(signal.SIGINT, interrupt)  # dask_jobqueue makes Ctrl-C end the process with status 0


@contextmanager
def shared_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for keys and logs, which only this user can read and which is removed at the end.

    Args:
        parent: A folder that all hosts see.

    Yields:
        The folder.
    """
    folder = Path(mkdtemp(prefix=".gcpt-", dir=parent))
    try:
        yield folder
    finally:
        for _ in range(_REMOVALS):
            with suppress(OSError):  # a worker that ends may still write into it
                rmtree(folder)
                break
            time.sleep(_LOOK)


def write_security(distributed: Any, folder: Path) -> Any:
    """Make a key and a certificate for one run, and write them.

    Args:
        distributed: The module.
        folder: A folder of this user alone.

    Returns:
        Dask's ``Security``, which names the files.
    """
    temporary = distributed.Security.temporary()
    texts = {"tls_ca_file": temporary.tls_ca_file}
    for role in ("client", "scheduler", "worker"):
        for part in ("cert", "key"):
            name = f"tls_{role}_{part}"
            texts[name] = getattr(temporary, name)
    for name, text in texts.items():
        (folder / name).touch(0o600)
        (folder / name).write_text(text)
    return distributed.Security(require_encryption=True, **{name: str(folder / name) for name in texts})


def _end_workers(client: Any) -> None:
    """End all workers at once, and their simulators with them: Dask would wait for what they do."""
    with suppress(OSError):  # none answers any more
        client.run(end_worker, on_error="ignore")


@contextmanager
def serving(client: Any, loss: Callable[[], str] = str, ends_workers: bool = False) -> Iterator[Executor]:
    """Use the workers of a client's scheduler.

    Args:
        client: A client of Dask, which is connected; it is closed at the end.
        loss: Returns why no worker can come any more; "" as long as one can.
        ends_workers: Whether the workers end, too.

    Yields:
        The executor.
    """
    executor = Cluster(client, loss)
    is_over = False
    try:
        yield executor
        is_over = True
    finally:
        if ends_workers:
            _end_workers(client)
        executor.shutdown(wait=is_over)


def parse_address(text: str, where: str) -> str:
    """Check the address of a scheduler.

    Args:
        text: ``//HOST:PORT``.
        where: The engine, for messages.

    Returns:
        ``HOST:PORT``.

    Raises:
        UserError: It is no such address.
    """
    match = _ADDRESS.fullmatch(text)
    if not match or not 0 < int(match["port"]) <= _MAX_PORT:
        raise UserError(f"{where}: not the address of a scheduler: write {where.partition(':')[0]}://HOST:PORT")
    return text.removeprefix("//")


@contextmanager
def on_dask(kind: str, address: str, paths: Sequence[Path]) -> Iterator[Executor]:
    """Use the workers of a Dask scheduler that runs already.

    Args:
        kind: One of PROTOCOLS. The certificates of ``tls`` are those of Dask's configuration.
        address: HOST:PORT.
        paths: Files and folders that all workers must see.

    Yields:
        The executor.

    Raises:
        UserError: Dask is not installed, no scheduler answers, or a worker does not fit.
    """
    where, protocol = f"{kind}://{address}", PROTOCOLS[kind]
    distributed = import_extra("distributed", where)
    security = distributed.Security(require_encryption=True) if kind == "tls" else None
    if security:
        _check_certificates(security, where)
    try:
        client = distributed.Client(f"{protocol}://{address}", security=security, timeout=_ANSWER, set_as_default=False)
    except (OSError, ValueError) as error:
        if security:
            remedy = "check the address, and that scheduler and client have certificates of the same authority"
        else:
            remedy = "start one with dask scheduler"
        raise UserError(f"{where}: no scheduler answers: {remedy}") from error
    with serving(client) as executor:
        check_workers(client, where, paths)
        yield executor


def _check_certificates(security: Any, where: str) -> None:
    """Check that Dask's configuration names the files that a TLS connection needs, and that they can be used."""
    for part, name in _CERTIFICATES.items():
        setting, file = f"distributed.comm.tls.{name}", getattr(security, part)
        if not file:
            raise UserError(f"{where}: {setting} is not set: name the file in Dask's configuration")
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise UserError(f"{where}: {file}: {error.strerror}: correct {setting} in Dask's configuration") from error
    try:
        security.get_connection_args("client")
    except (OSError, ValueError) as error:
        raise UserError(f"{where}: {one_line(str(error))}: correct the files of distributed.comm.tls") from error
