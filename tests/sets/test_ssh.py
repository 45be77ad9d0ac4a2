"""``gcpt set run --on ssh:FILE``: a real sshd on loopback, with keys and settings of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from command import free_port, gcpt, started, wait_until

from gcpt.errors import UserError
from gcpt.sets.hosts import Host, parse, read
from gcpt.sets.ssh import on_ssh

Make = Callable[..., Path]

_SERVER = """
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
ListenAddress 127.0.0.1
StrictModes no
UsePAM no
PasswordAuthentication no
"""
_CLIENT = """
Host node unknown
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/user
  IdentityAgent none
  StrictHostKeyChecking yes
  UserKnownHostsFile {folder}/known_%n
"""


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The words that log in: ``ssh -F FILE``, where FILE knows the hosts ``node`` and ``unknown``."""
    folder, port = tmp_path_factory.mktemp("sshd"), free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "known_node").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
    (folder / "server").write_text(_SERVER.format(folder=folder))
    (folder / "client").write_text(_CLIENT.format(folder=folder, port=port))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # sshd refuses to start as root without it
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", folder / "server", "-p", str(port)], stderr=log) as sshd,
    ):
        wait_until(lambda: sshd.poll() is not None or "listening" in (folder / "log").read_text())
        assert sshd.poll() is None, (folder / "log").read_text()
        yield f"ssh -F {folder / 'client'}"
        sshd.terminate()


def _workers() -> list[int]:
    """The processes that start workers."""
    numbers = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if "--tls-key" in path.read_text().split("\0"):
                numbers.append(int(path.parent.name))
    return numbers


def test_workers_and_hosts_that_end(
    make_set: Make, emu: Path, starts: Callable[[], list[str]], ssh: str, tmp_path: Path
) -> None:
    """A worker that ends is replaced; when no host is left, the points are named, and another run does them."""
    root, out = make_set({"mcf": {"1": (0.5, "killer the largest"), "2": (0.5, "wait")}}), tmp_path / "out"
    (tmp_path / "hosts").write_text(f"# a farm\n1/{ssh} node\n1/:  # this machine\n")
    words, simulator = (root, "-o", out, "--retries", "0"), ("--", emu, "-i", "{checkpoint}")
    with started("set", "run", *words, "--on", f"ssh:{tmp_path / 'hosts'}", *simulator) as client:
        wait_until(lambda: (out / "mcf_1_0.500000/result.json").exists() and "mcf_2" in starts())
        [keys] = out.glob(".gcpt-*")
        assert keys.stat().st_mode & 0o77 == 0
        for number in _workers():
            os.kill(number, signal.SIGKILL)
        output, errors = client.communicate(timeout=100)
    assert (client.returncode, errors) == (1, "")
    assert starts().count("mcf_1") == 2 and "mcf_1: finished" in output
    assert "mcf_2: no worker is left on any host" in output and "1 failed, 1 finished" in output
    assert not keys.exists()
    emu.with_name("go").touch()
    assert gcpt("set", "run", *words, *simulator).returncode == 0 and starts().count("mcf_1") == 2


def test_an_interrupt(make_set: Make, emu: Path, ssh: str, tmp_path: Path) -> None:
    """Ctrl-C ends workers and simulators on all hosts; results that were there stay."""
    root, out = make_set({"mcf": {"1": (0.5, "the largest starts first"), "2": (0.5, "hang")}}), tmp_path / "out"
    (tmp_path / "hosts").write_text(f"1/{ssh} node\n")
    words = (root, "-o", out, "--on", f"ssh:{tmp_path / 'hosts'}", "--", emu, "-i", "{checkpoint}")
    with started("set", "run", *words) as client:
        wait_until(emu.with_name("children").exists)
        client.send_signal(signal.SIGINT)
        _, errors = client.communicate(timeout=100)
    assert (client.returncode, errors.strip()) == (130, "gcpt: interrupted")
    assert (out / "mcf_1_0.500000/result.json").exists() and not list(out.glob(".gcpt-*"))
    assert not _workers()
    child = Path("/proc", emu.with_name("children").read_text().strip())
    wait_until(lambda: not child.exists())


def test_hosts_that_cannot_be_used(ssh: str, tmp_path: Path) -> None:
    """All are named, with what ssh says."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{ssh} unknown\n{ssh} -p {free_port()} node\n")
    with pytest.raises(UserError) as error, on_ssh(read(str(hosts)), str(hosts), tmp_path, []):
        pass
    message = str(error.value)
    assert message.startswith(f"{hosts}: unknown: Host key verification failed.; node: ssh: connect to host 127.0.0.1")
    assert "Connection refused" in message and "\n" not in message


def test_file_of_hosts() -> None:
    lines = ["# all", "", ":", "4/node7", "ada@node8", "2/ssh -p 2222 ada@node9 # slow"]
    assert parse(lines, "hosts") == [
        Host(3, ":"),
        Host(4, "node7", 4),
        Host(5, "ada@node8"),
        Host(6, "ada@node9", 2, ("ssh", "-p", "2222")),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("-oProxyCommand=x", "hosts:1: '-oProxyCommand=x' names no host"),
        ("4/", "hosts:1: '4/' names no host"),
        ("@fast/node7", "hosts:1: '@fast/node7' names no host"),
        ("ssh 'node7", 'hosts:1: "ssh \'node7" names no host'),
        ("node7;reboot", "hosts:1: 'node7;reboot' names no host"),
        ("99999/node7", "hosts:1: '99999/node7' names no host"),
        ("# nothing", "hosts: names no host"),
    ],
)
def test_lines_that_are_no_host(line: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        parse([line], "hosts")
    assert str(error.value).startswith(message)


def test_a_missing_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    message = r"^cryptography is not installed, which ssh:hosts needs: pip install 'gcpt\[set\]'$"
    with pytest.raises(UserError, match=message), on_ssh([Host(1, ":")], "hosts", tmp_path, []):
        pass
