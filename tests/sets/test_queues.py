"""``gcpt set run --on slurm``: a real Slurm on this machine, with munge, settings and state of its own."""

import inspect
import json
import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from command import ENVIRONMENT, free_port, gcpt, refusal, started, wait_until

from gcpt.errors import UserError
from gcpt.sets import queues
from gcpt.sets.executors import Needs, find_workplace

Make = Callable[..., Path]

_SLURM = """
ClusterName=gcpt
SlurmctldHost={host}(127.0.0.1)
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
MailProg=/bin/true
MpiDefault=none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
KillWait=1
SchedulerParameters=batch_sched_delay=0
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000
PartitionName=short Nodes=ALL Default=YES
"""


@contextmanager
def _daemon(folder: Path, *command: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (folder / f"{Path(command[0]).name}.log").open("wb") as log,
        subprocess.Popen(command, env={**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}, stderr=log) as running,
    ):
        try:
            yield running
        finally:
            running.terminate()


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's commands reach a cluster of one node with two cores."""
    folder = tmp_path_factory.mktemp("slurm")
    host = socket.gethostname().partition(".")[0]
    (folder / "key").write_bytes(os.urandom(128))
    (folder / "key").chmod(stat.S_IRUSR)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    (folder / "slurm.conf").write_text(_SLURM.format(host=host, folder=folder, ports=(free_port(), free_port())))
    environment = {"SLURM_CONF": str(folder / "slurm.conf")}
    munge = [f"--{name}={folder / name}" for name in ("log-file", "pid-file", "seed-file")]
    munge += [f"--socket={folder}/munge.socket", f"--key-file={folder}/key"]
    with ExitStack() as stack:
        stack.enter_context(_daemon(folder, "/usr/sbin/munged", "--foreground", "--force", *munge))
        wait_until((folder / "munge.socket").exists)
        for name in ("slurmctld", "slurmd"):
            stack.enter_context(_daemon(folder, f"/usr/sbin/{name}", "-D"))
        wait_until(lambda: _query(environment, "sinfo", "--noheader", "--format=%T") == "idle")
        yield environment


def _query(environment: dict[str, str], *command: str) -> str:
    """What a command of Slurm prints."""
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _jobs(environment: dict[str, str]) -> list[str]:
    return _query(environment, "squeue", "--noheader", "--format=%i").split()


def test_jobs(
    make_set: Make, emu: Path, starts: Callable[[], list[str]], slurm: dict[str, str], tmp_path: Path
) -> None:
    """A job that is cancelled is submitted again; Ctrl-C cancels the jobs and ends their simulators."""
    root, out = make_set({"mcf": {"1": (0.5, "the largest starts first"), "2": (0.5, "hang")}}), tmp_path / "out"
    (tmp_path / "preamble").write_text("export IPC=3\n")
    options = f"memory=100MB,partition=short,walltime=00:10:00,address=127.0.0.1,preamble={tmp_path}/preamble"
    words = (root, "-o", out, "--jobs", "1", "--on", f"slurm:{options}", "--", emu, "-i", "{checkpoint}")
    lost = {"DASK_DISTRIBUTED__DEPLOY__LOST_WORKER_TIMEOUT": "1s"}
    with started("set", "run", *words, **slurm, **lost) as client:
        wait_until(lambda: client.poll() is not None or len(_children(emu)) == 1)
        [first] = _jobs(slurm)
        _query(slurm, "scancel", first)
        wait_until(lambda: client.poll() is not None or len(_children(emu)) == 2)
        [second] = _jobs(slurm)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=100)
    assert (client.returncode, errors.strip()) == (130, "gcpt: interrupted")
    wait_until(lambda: not _jobs(slurm))
    assert first != second and starts() == ["mcf_1", "mcf_2", "mcf_2"]
    assert json.loads((out / "mcf_1_0.500000/result.json").read_text())["figures"]["ipc"] == 3
    assert not list(out.glob(".gcpt-*"))
    wait_until(lambda: not any(Path("/proc", child).exists() for child in _children(emu)))


def _children(emu: Path) -> list[str]:
    path = emu.with_name("children")
    return path.read_text().split() if path.exists() else []


def _refusal(options: str, jobs: int, folder: Path) -> str:
    with pytest.raises(UserError) as error:
        workplace = find_workplace(f"slurm:{options}")
        workplace.check(jobs, 0)
        with workplace.open(Needs(jobs, 0, folder, ())):
            pass
    return str(error.value)


def test_jobs_that_do_not_start(
    make_set: Make, emu: Path, slurm: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Slurm, or the job, says about it is the reason; nothing is left in the queue."""
    monkeypatch.setitem(ENVIRONMENT, "SLURM_CONF", slurm["SLURM_CONF"])
    monkeypatch.setenv("SLURM_CONF", slurm["SLURM_CONF"])
    base = "memory=100MB,address=127.0.0.1"
    words = ("set", "run", make_set({"mcf": {"1": (1, "")}}), "-o", tmp_path / "out", "--jobs", "1", "--on")
    assert refusal(gcpt(*words, f"slurm:{base},partition=long", "--", emu, "{checkpoint}")) == (
        "slurm: sbatch: error: Batch job submission failed: Invalid partition name specified: correct the options"
    )
    (tmp_path / "preamble").write_text("echo no such module >&2\nexit 3\n")
    message = _refusal(f"{base},wait=60,preamble={tmp_path}/preamble", 1, tmp_path)
    assert message == "slurm: all jobs ended before they had a worker (no such module)"
    _query({}, "scontrol", "update", "partitionname=short", "state=down")
    try:
        message = _refusal(f"{base},wait=1", 1, tmp_path)
    finally:
        _query({}, "scontrol", "update", "partitionname=short", "state=up")
    assert re.fullmatch(
        r"slurm: no job started within 1 s, job \d+ is PENDING \(\w+\): give wait=SECONDS, or ask for less", message
    )
    wait_until(lambda: not _jobs({}))


@pytest.mark.parametrize(
    ("options", "jobs", "message"),
    [
        ("memory=1GB", 0, "slurm: the number of jobs is missing: give it with --jobs"),
        ("", 1, "slurm: the memory of a job is missing: give it, as in slurm:memory=8GB"),
        ("colour=red", 1, "slurm: 'colour=red' is no option: write NAME=VALUE with one of partition, account, "),
        ("memory=", 1, "slurm: 'memory=' is no option"),
        ("cores=two", 1, "slurm: cores=two: give a whole number"),
        ("memory=1GB", 1, "slurm: sbatch is not found: start gcpt on a host that submits jobs"),
    ],
)
def test_bad_options(options: str, jobs: int, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert _refusal(options, jobs, tmp_path).startswith(message)


@pytest.mark.parametrize("kind", queues.SYSTEMS)
def test_every_system_knows_the_options(kind: str) -> None:
    """The classes of dask_jobqueue have the parameters that the options become."""
    import dask_jobqueue

    system = queues.SYSTEMS[kind]
    job = getattr(dask_jobqueue, system.cluster).job_cls
    known = {name for each in job.__mro__[:-1] for name in inspect.signature(each.__init__).parameters}
    settings = queues.settings(system, dict.fromkeys(queues.OPTIONS, "1"))
    assert len(settings) == 5 and set(settings) <= known
