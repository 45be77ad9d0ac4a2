"""Workers of Dask in the jobs of a queueing system: the scheduler is in this process, and TLS protects connections."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcpt.errors import UserError, one_line
from gcpt.sets.cluster import HTTP, SCHEDULING, import_extra, serving, shared_folder, write_security
from gcpt.sets.fitness import check_workers

#: Seconds for a job to start, unless ``wait=`` is given, and between two looks whether one did.
_WAIT, _LOOK = 3600, 0.2
#: How the names of files begin that jobs leave when they end.
_ENDED = "ended."


@dataclass(frozen=True)
class System:
    """A queueing system.

    Attributes:
        cluster: Its class in dask_jobqueue.
        account: What that class calls the option ``account``.
        states: The command that shows the states of jobs, whose numbers follow; empty if none does in short lines.
    """

    cluster: str
    account: str = "account"
    states: tuple[str, ...] = ()


#: The queueing systems of ``--on``.
SYSTEMS = {
    "slurm": System("SLURMCluster", states=("squeue", "--noheader", "--format=job %i is %T (%r)", "--jobs")),
    "lsf": System("LSFCluster", account="project"),
    "pbs": System("PBSCluster"),
    "sge": System("SGECluster", account="project"),
}
#: The options after the colon, with what they are.
OPTIONS = {
    "partition": "the partition or queue",
    "account": "the account or project",
    "walltime": "how long a job may run",
    "memory": "memory of a job, such as 8GB",
    "cores": "cores of a job",
    "preamble": "a file with lines of shell for the start of each job",
    "address": "the address of this machine to which jobs connect",
    "wait": "seconds for the first job to start",
}


def parse_options(text: str, where: str) -> dict[str, str]:
    """Read the options of a queueing system.

    Args:
        text: ``NAME=VALUE,...``; may be empty.
        where: The engine, for messages.

    Returns:
        The values by name.

    Raises:
        UserError: There is no such option, or a value is none.
    """
    options = {}
    for word in filter(None, text.split(",")):
        name, _, value = word.partition("=")
        if name not in OPTIONS or not value or "\n" in value:
            raise UserError(f"{where}: {word!r} is no option: write NAME=VALUE with one of {', '.join(OPTIONS)}")
        options[name] = value
    for name in ("cores", "wait"):
        if name in options and not options[name].isdecimal():
            raise UserError(f"{where}: {name}={options[name]}: give a whole number")
    return options


@contextmanager
def on_queue(kind: str, options: dict[str, str], jobs: int, folder: Path, paths: Sequence[Path]) -> Iterator[Executor]:
    """Let a queueing system start workers, one in each job.

    Args:
        kind: One of SYSTEMS.
        options: The options by name.
        jobs: Number of jobs.
        folder: A folder that all hosts see; it holds keys and logs as long as jobs run.
        paths: Files and folders that all workers must see.

    Yields:
        The executor; the jobs are cancelled at its end.

    Raises:
        UserError: Dask is not installed, the options do not fit, no job starts in time, or a worker does not fit.
    """
    system = SYSTEMS[kind]
    dask, distributed, jobqueue = (import_extra(name, kind) for name in ("dask", "distributed", "dask_jobqueue"))
    import_extra("cryptography", kind)
    if not (options.get("memory") or dask.config.get(f"jobqueue.{kind}.memory", None)):
        raise UserError(f"{kind}: the memory of a job is missing: give it, as in {kind}:memory=8GB")
    cluster_class = getattr(jobqueue, system.cluster)
    submit = shlex.split(cluster_class.job_cls.submit_command)[0]
    if shutil.which(submit) is None:
        raise UserError(f"{kind}: {submit} is not found: start gcpt on a host that submits jobs")
    address = options.get("address") or distributed.utils.get_ip()
    with ExitStack() as stack:
        shared = stack.enter_context(shared_folder(folder))
        _check_paths(kind, str(shared), sys.executable)
        security = write_security(distributed, shared)
        stack.enter_context(dask.config.set(SCHEDULING))
        arguments = {
            "cores": dask.config.get(f"jobqueue.{kind}.cores", None) or 1,
            **settings(system, options),
            "processes": 1,
            "protocol": "tls://",
            "security": security,
            "scheduler_options": {"host": address, "dashboard_address": HTTP},
            "worker_extra_args": _worker_options(address),
            "job_script_prologue": _prologue(kind, options.get("preamble"), shared),
            "log_directory": str(shared),
            "silence_logs": "critical",
        }
        try:
            cluster = stack.enter_context(cluster_class(**arguments))
            cluster.sync(_submit, cluster, jobs)
        except (RuntimeError, ValueError, OSError) as error:
            raise UserError(f"{kind}: {_reason(error)}: correct the options") from error
        queue = _Queue(kind, cluster, jobs, shared, int(options.get("wait", _WAIT)))
        queue.wait_for_worker()
        client = distributed.Client(cluster, set_as_default=False)
        with serving(client, queue.loss, ends_workers=True) as executor:
            check_workers(client, kind, paths)
            yield executor


def _check_paths(kind: str, *paths: str) -> None:
    for path in paths:
        if shlex.quote(path) != path:  # dask_jobqueue writes paths into job scripts as they are
            raise UserError(f"{kind}: {path!r}: a job script cannot hold this path: use one of letters and digits")


def settings(system: System, options: dict[str, str]) -> dict[str, Any]:
    """Translate options.

    Args:
        system: The queueing system.
        options: The values by name.

    Returns:
        Those of them that dask_jobqueue knows, by its names.
    """
    names = {"partition": "queue", "account": system.account, "walltime": "walltime", "memory": "memory"}
    known: dict[str, Any] = {keyword: options[name] for name, keyword in names.items() if name in options}
    return known | ({"cores": int(options["cores"])} if "cores" in options else {})


def _worker_options(address: str) -> list[str]:
    words = ["--nthreads", "1", "--dashboard-address", HTTP]
    return [*words, "--host", address] if address.startswith("127.") else words


def _prologue(kind: str, preamble: str | None, shared: Path) -> list[str]:
    """The lines of shell before a worker: at its end, the job leaves a file that says so."""
    lines = [f"trap 'touch {shared}/{_ENDED}$$.$HOSTNAME' EXIT"]
    if python_path := os.environ.get("PYTHONPATH"):
        lines.append(f"export PYTHONPATH={shlex.quote(python_path)}")
    if preamble:
        try:
            lines += Path(preamble).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problem = getattr(error, "strerror", None) or "is no text"
            raise UserError(f"{kind}: {preamble}: {problem}: give a file with lines of shell") from error
    return lines


async def _submit(cluster: Any, jobs: int) -> None:
    """Submit jobs until there are so many; unlike the cluster's ``scale``, raise what goes wrong."""
    while len(cluster.worker_spec) < jobs:
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        await cluster
    except RuntimeError:
        for job in cluster.workers.values():
            if job.job_id is None:
                job.status = job.status.failed  # else the cluster refuses to close
        raise


def _reason(error: Exception) -> str:
    """What a command of the queueing system printed, or the error."""
    return next((line for line in reversed(str(error).split("\n")) if line.strip(" :")), type(error).__name__)


class _Queue:
    """The jobs of a run."""

    def __init__(self, kind: str, cluster: Any, jobs: int, shared: Path, wait: int) -> None:
        self._kind, self._cluster, self._jobs, self._shared, self._wait = kind, cluster, jobs, shared, wait
        self._last_worker = time.monotonic()

    def wait_for_worker(self) -> None:
        """Wait until a job has started a worker.

        Raises:
            UserError: None does in time, or all jobs ended.
        """
        while not self._cluster.scheduler.workers:
            if len(list(self._shared.glob(f"{_ENDED}*"))) >= self._jobs:
                raise UserError(f"{self._kind}: all jobs ended before they had a worker ({self._last_line()})")
            if self._is_late():
                raise UserError(
                    f"{self._kind}: no job started within {self._wait} s{self._states()}: "
                    "give wait=SECONDS, or ask for less"
                )
            time.sleep(_LOOK)

    def loss(self) -> str:
        """Submit jobs again that ended; return why no worker can come any more, "" as long as one can."""
        if self._cluster.scheduler.workers:
            self._last_worker = time.monotonic()
        try:
            self._cluster.sync(_submit, self._cluster, self._jobs)
        except RuntimeError as error:
            if not self._cluster.scheduler.workers:
                return f"no worker is left, and no job can be submitted: {_reason(error)}"
        return f"no worker is left, and no job started within {self._wait} s" if self._is_late() else ""

    def _is_late(self) -> bool:
        return time.monotonic() > self._last_worker + self._wait

    def _last_line(self) -> str:
        """The last line that a job printed."""
        logs = sorted(self._shared.glob("*.err")) + sorted(self._shared.glob("*.out"))
        lines = (line for log in logs for line in reversed(log.read_text(errors="replace").split("\n")))
        return one_line(next((line for line in lines if line.strip()), "they printed nothing"))

    def _states(self) -> str:
        """What the queueing system says about the first job."""
        command = SYSTEMS[self._kind].states
        numbers = [worker.job_id for worker in self._cluster.workers.values() if worker.job_id]
        if not command or not numbers:
            return ""
        done = subprocess.run([*command, numbers[0]], capture_output=True, text=True, check=False)
        return f", {one_line(done.stdout)}" if done.stdout.strip() else ""
