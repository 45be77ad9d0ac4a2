"""Workers of Dask on hosts that ssh reaches: the scheduler is in this process, and TLS protects all connections."""

import ipaddress
import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.errors import UserError, one_line
from gcpt.machines.children import child
from gcpt.sets.cluster import HTTP, SCHEDULING, import_extra, serving, shared_folder, write_security
from gcpt.sets.fitness import check_workers
from gcpt.sets.hosts import HERE, Host

_LOOPBACK = "127.0.0.1"
#: Seconds for ssh to connect, for all workers to start, between two looks whether they did, and for them to end.
_CONNECT, _START, _LOOK, _END = 10, 120, 0.1, 20
#: ssh never prompts: no terminal belongs to it.
_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT}")


@dataclass(frozen=True)
class _Login:
    """The process that starts workers on a host, and stays until they end."""

    host: Host
    process: "subprocess.Popen[bytes]"
    log: Path

    def problem(self) -> str:
        """Why there are no workers, in one line."""
        lines = self.log.read_text(errors="replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        if self.process.poll() is None:
            return f"{self.host.login}: no worker within {_START} s ({one_line(last)})"
        return f"{self.host.login}: {one_line(last) or f'ended with status {self.process.returncode}'}"


@contextmanager
def on_ssh(hosts: Sequence[Host], name: str, folder: Path, paths: Sequence[Path]) -> Iterator[Executor]:
    """Start workers on hosts by ssh.

    Args:
        hosts: The hosts.
        name: Their file, for messages.
        folder: A folder that all hosts see; it holds the keys of the connections as long as workers run.
        paths: Files and folders that all workers must see.

    Yields:
        The executor; the workers end with it.

    Raises:
        UserError: Dask is not installed, a host cannot be used, or a worker does not fit.
    """
    where = f"ssh:{name}"
    distributed = import_extra("distributed", where)
    import_extra("cryptography", where)
    address = _address(hosts, name)
    with ExitStack() as stack:
        keys = stack.enter_context(shared_folder(folder))
        security = write_security(distributed, keys)
        stack.enter_context(import_extra("dask", where).config.set(SCHEDULING))
        cluster = stack.enter_context(
            distributed.LocalCluster(
                n_workers=0, host=address, security=security, dashboard_address=HTTP, silence_logs=50
            )
        )
        worker = _worker(cluster.scheduler_address, security, address)
        logins = [stack.enter_context(_login(host, worker, keys)) for host in hosts]
        _wait(cluster.scheduler, logins, name)
        client = distributed.Client(cluster, set_as_default=False)
        try:
            with serving(client, lambda: _loss(logins), ends_workers=True) as executor:
                check_workers(client, where, paths)
                yield executor
        finally:
            _wait_for_end(logins)


def _worker(scheduler: str, security: Any, address: str) -> list[str]:
    """The command line of a host's workers, without their name and number."""
    words = [sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--nthreads", "1"]
    words += ["--tls-ca-file", security.tls_ca_file, "--tls-cert", security.tls_worker_cert]
    words += ["--tls-key", security.tls_worker_key, "--dashboard-address", HTTP]
    words += ["--memory-limit", "0", "--death-timeout", str(_START)]
    if address == _LOOPBACK:
        words += ["--host", _LOOPBACK]
    if python_path := os.environ.get("PYTHONPATH"):
        words = ["env", f"PYTHONPATH={python_path}", *words]
    return words


@contextmanager
def _login(host: Host, worker: list[str], folder: Path) -> Iterator[_Login]:
    words = [*worker, "--nworkers", str(host.workers or -1), "--name", f"{host.login}#{host.number}"]
    command = words if host.login == HERE else [*host.ssh, *_OPTIONS, host.login, shlex.join(words)]
    log = folder / f"{host.number}.log"
    with ExitStack() as stack:
        file = stack.enter_context(log.open("wb"))
        try:
            process = stack.enter_context(
                child(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True)
            )
        except OSError as error:
            raise UserError(f"{command[0]}: {error.strerror}: install it, or change the file of hosts") from error
        yield _Login(host, process, log)


def _wait(scheduler: Any, logins: Sequence[_Login], name: str) -> None:
    """Wait until all hosts have a worker; UserError names those that get none."""
    deadline = time.monotonic() + _START
    while waiting := [login for login in logins if not _has_worker(scheduler, login.host)]:
        if time.monotonic() > deadline or all(login.process.poll() is not None for login in waiting):
            problems = "; ".join(login.problem() for login in waiting)
            raise UserError(f"{name}: {problems}: put it right, or remove the host from the file")
        time.sleep(_LOOK)


def _wait_for_end(logins: Sequence[_Login]) -> None:
    deadline = time.monotonic() + _END
    for login in logins:
        with suppress(subprocess.TimeoutExpired):
            login.process.wait(max(0, deadline - time.monotonic()))


def _has_worker(scheduler: Any, host: Host) -> bool:
    names = (str(worker.name).rpartition("#")[2] for worker in list(scheduler.workers.values()))
    return any(number.partition("-")[0] == str(host.number) for number in names)


def _loss(logins: Sequence[_Login]) -> str:
    return "" if any(login.process.poll() is None for login in logins) else "no worker is left on any host"


def _address(hosts: Sequence[Host], name: str) -> str:
    """The address of this machine towards the hosts: the scheduler listens there and nowhere else."""
    for host in hosts:
        if host.login == HERE:
            continue
        target = _host_name(host)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))  # sends nothing: it chooses the address
                address = str(probe.getsockname()[0])
        except OSError as error:
            raise UserError(f"{name}:{host.number}: {target}: {error.strerror}: correct the host") from error
        if not ipaddress.ip_address(address).is_loopback:
            return address
    return _LOOPBACK


def _host_name(host: Host) -> str:
    """The name or address behind a login: ssh's configuration may call it otherwise."""
    plain = host.login.rpartition("@")[2]
    try:
        done = subprocess.run([*host.ssh, "-G", host.login], capture_output=True, text=True, check=False)
    except OSError:  # named when workers are started
        return plain
    names = (line.split(" ", 1)[1] for line in done.stdout.splitlines() if line.startswith("hostname "))
    return next(names, plain)
