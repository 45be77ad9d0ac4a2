"""Every command when one of its system calls fails: one line, status 2, and all files whole.

Each command runs once to list the calls that concern its files, its temporary folder and its sockets; then once for
each call that fails. GCPT_FAULTS=all fails every call; otherwise a sample, which GCPT_FAULTS=NUMBER seeds.
"""

import gzip
import os
import random
import re
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import dromajos
import pytest
from command import here
from faulty import ERRORS, Call, Run, compile_shim, processes_of, run
from guests import TWO_PHASES
from restorer import Restorer

from gcpt.checkpoint import edits, output
from gcpt.checkpoint.containers import MAGICS
from gcpt.checkpoint.files import open_checkpoint
from gcpt.checkpoint.layouts import MIB
from gcpt.errors import UserError
from gcpt.machines import demo

#: Calls that fail for each command in a sample.
_SAMPLE = 4
#: The most calls of one name on one file that fail: a machine's socket has hundreds.
_MOST = 24
#: Runs at the same time: many wait for a machine whose socket failed.
_JOBS = 4
_CHOICE = os.environ.get("GCPT_FAULTS", "1")
_SPIN = bytes.fromhex("6f000000")


@dataclass(frozen=True)
class Command:
    """A command line whose words may name files of the folder.

    outputs: files that it writes or replaces. results: a folder for further files, which differ from run to run.
    """

    line: str
    outputs: tuple[str, ...] = ()
    starts_machine: bool = False
    results: str = "-"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.line)


_MACHINE = True
_WHISPER = ("fd", "memory", "mmap", "mtimecmp", "registers0", "time", "usedblocks")
#: One worker, whose calls are always the same, and one attempt, because a second one may succeed.
_ONE = "-j 1 --retries 0"
_NEW = "new/checkpoint/work/1/_1_1.0_memory_.{}"
_PHASES = "--load phases@0x80100000 --interval 20000"
COMMANDS = [
    Command("info c.zst"),
    Command("info c.gz --hart 0 --json"),
    Command("info packed.elf"),
    Command("info gcpt.bin"),
    Command("info m.bin --flash f.bin"),
    Command("info c.bin --html page.html", ("page.html",)),
    Command("validate c.bin"),
    Command("validate packed.zst"),
    Command("diff c.bin c.gz"),
    Command("convert c.zst o.gz", ("o.gz",)),
    Command("convert c.gz o.zst --layout protobuf", ("o.zst",)),
    Command("convert c.bin o.bin", ("o.bin",)),
    Command("convert c.zst c.zst", ("c.zst",)),
    Command("convert c.gz om.bin --layout flash --flash-out of.gz", ("om.bin", "of.gz")),
    *(
        Command(f"pack gcpt.bin c.{source} -o o --format {form}", ("o",))
        for source, form in zip(("zst", "gz", "bin", "zst", "gz"), ("raw", "gzip", "zstd", "elf", "hex"), strict=True)
    ),
    Command("pack other.bin m.bin --flash f.bin -o o --format flash", ("o",)),
    Command("pack --swap other.bin packed.zst", ("packed.zst",)),
    Command("pack --swap other.bin packed.raw", ("packed.raw",)),
    Command("unpack packed.zst -o o.zst --restorer-out r.bin", ("o.zst", "r.bin")),
    Command("convert --to whisper c.zst folder", tuple(f"folder/{name}" for name in _WHISPER)),
    Command("convert --from whisper whisper o.zst", ("o.zst",)),
    Command("convert --to loadarch c.zst folder", ("folder/loadarch", "folder/mem.elf")),
    Command("convert --from loadarch loadarch o.zst", ("o.zst",)),
    Command("convert --from dromajo dromajo o.bin --layout flash --flash-out of", ("o.bin", "of")),
    Command("restorer --platform qemu-virt --mode auto -o o.bin", ("o.bin",)),
    Command("build platform=qemu-virt mode=auto -o o.bin --elf o.elf", ("o.bin", "o.elf")),
    Command("simpoints profile -o folder --index index.json", ("folder/simpoints0", "folder/weights0", "index.json")),
    Command("set archive set -o o.gcptset", ("o.gcptset",)),
    Command("set extract archive -o folder", ("folder/checkpoint/work/1/_1_1.0_memory_.zstd",)),
    Command("set scan set -o quick.toml", ("quick.toml",)),
    Command("set scan set --digest -j 1 -o quick.json", ("quick.json",)),
    Command(f"set convert set --layout dual_core --container gzip -o new {_ONE}", (_NEW.format("gz"),), results="new"),
    Command(f"set pack set gcpt.bin --container raw -o new {_ONE}", (_NEW.format("bin"),), results="new"),
    Command(f"set swap packed-set other.bin {_ONE}", ("packed-set/checkpoint/work/1/_1_1.0_memory_.zstd",)),
    Command(f"set validate packed-set -o new {_ONE}", results="new"),
    Command(f"set run set -o new --good over {_ONE} -- sh -c 'echo over' {{checkpoint}}", results="new"),
    Command(f"set verify packed-set -o new {_ONE}", (), _MACHINE, results="new"),
    Command(f"profile -o o.gz {_PHASES}", ("o.gz",), _MACHINE),
    Command(f"generate -o new --max-k 1 {_PHASES}", (), _MACHINE, results="new"),
    Command("snapshot -o o.zst --load spin@0x80100000", ("o.zst",), _MACHINE),
    Command("snapshot -o o.bin --load spin@0x80100000 --layout flash --flash-out of", ("o.bin", "of"), _MACHINE),
    Command("verify packed.zst", (), _MACHINE),
    Command("verify c.zst --restorer gcpt.bin --logs logs", ("logs/qemu.log", "logs/console.log"), _MACHINE),
    Command("run packed.raw", (), _MACHINE),
    Command("debug packed.zst --batch --script s.py", ("s.py",), _MACHINE),
]


#: Calls that may fail without a consequence, and why: then output and files are those of a run without a fault.
HARMLESS = {
    "fstat": "Python opens a file without it: it only chooses the buffer's size, and looks for folders",
    "stat": "a path that cannot be looked at counts as absent, or is resolved as it is written",
    "read": "a worker that waits for its next task ends",
    "lseek": "Python opens a file without its position",
    "connect": "gcpt tries again until QEMU opens its socket",
    "fork": "Python forks after vfork fails",
    "open": "tempfile tries the next folder; rmtree tries again with another mode",
    "write": "tempfile tries the next folder",
    "unlink": "tempfile ignores it for its trial file; rmtree tries again with another mode",
    "rmdir": "rmtree tries again with another mode",
    "mkdir": "the folder of a socket is made in the next place where one fits",
    "opendir": "partial files that killed writers left stay for the next writer",
    "readdir": "partial files that killed writers left stay for the next writer",
}
#: Those of open, write, unlink, rmdir and mkdir are only for files here.
_TEMPORARY = re.compile(r"tmp(/.*)?")
#: Those of opendir and readdir are only for the folders of outputs, in this one.
_FOLDER = re.compile(r"/.*/clean/?")
#: Calls that remove temporary files: what could not be removed is left, and the line names it.
_REMOVAL = {"open", "opendir", "readdir", "fstat", "stat", "unlink", "rmdir"}


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, build_restorer: Callable[..., Restorer]) -> Path:
    """A folder with all inputs: copied for each run."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "tmp").mkdir()
    shutil.copy(build_restorer(platform="qemu-virt", mode="auto").image, folder / "gcpt.bin")
    shutil.copy(build_restorer(platform="qemu-virt", mode="single_core").image, folder / "other.bin")
    for name, container in (("c.zst", "zstd"), ("c.gz", "gzip"), ("c.bin", "raw")):
        zeros = (bytes(MIB) for _ in range(4))
        output.write(folder / name, edits.patched(zeros, demo.image().items()), container)
    for words in (
        ("convert", folder / "c.bin", folder / "m.bin", "--layout", "flash", "--flash-out", folder / "f.bin"),
        *(
            ("pack", folder / "gcpt.bin", folder / "c.zst", "-o", folder / f"packed.{end}")
            for end in ("zst", "raw", "elf")
        ),
    ):
        done = here(*words)
        assert done.returncode == 0, done.stderr
    (folder / "spin").write_bytes(_SPIN)
    (folder / "phases").write_bytes(TWO_PHASES)
    (folder / "rom").mkdir()
    for ending, content in dromajos.make(folder / "rom")[0].items():
        (folder / f"dromajo{ending}").write_bytes(content)
    (folder / "profile").write_text("T:1:5 :2:6\nT:1:6 :2:5\n")
    point = folder / "set/checkpoint/work/1/_1_1.0_memory_.zstd"
    point.parent.mkdir(parents=True)
    shutil.copy(folder / "c.zst", point)
    for words in (
        ("convert", "--to", "whisper", folder / "c.zst", folder / "whisper"),
        ("convert", "--to", "loadarch", folder / "c.zst", folder / "loadarch"),
        ("set", "pack", folder / "set", folder / "gcpt.bin", "-o", folder / "packed-set"),
        ("set", "archive", folder / "set", "-o", folder / "archive"),
        *(("set", "scan", "--quick", folder / "set", "-o", folder / f"quick.{end}") for end in ("toml", "json")),
    ):
        done = here(*words)
        assert done.returncode in (0, 1), done.stderr  # 1: what the format cannot hold is named
    return folder


def _fresh(inputs: Path, folder: Path, command: Command) -> None:
    """Make ``folder`` as it is before the command: the outputs exist."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(inputs, folder)
    for name in command.outputs:
        if not name.startswith(("logs/", "folder/", "new/")) and not (folder / name).exists():
            (folder / name).write_bytes(b"as it was")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _is_complete(path: Path, data: bytes, command: Command) -> bool:
    """Whether an output is whole; that of a machine is never the same twice."""
    if not command.starts_machine or path.suffix == ".py":
        return False
    if path.suffix == ".gz":
        return data.startswith(MAGICS["gzip"]) and gzip.decompress(data).startswith(b"T:")
    if path.parent.name == "logs":
        return True
    if path.name == "of":
        return len(data) == MIB
    try:
        return bool(open_checkpoint(path, path.with_name("of") if path.name == "o.bin" else None).harts)
    except UserError:
        return False


def _is_of_outputs(command: Command, folder: str) -> bool:
    """Whether a command writes files into a folder."""
    inside = Path(_FOLDER.sub("", folder, count=1))
    return inside in {Path(name).parent for name in command.outputs} or inside.is_relative_to(command.results)


def _problems(
    command: Command, folder: Path, call: Call, result: Run, clean: Run, states: list[dict[str, bytes]]
) -> list[str]:
    """What is wrong with a run in which ``call`` failed. states: the files before, and after a run without a fault."""
    before, after = states
    problems = []
    now = _files(folder)
    temporary = bool(_TEMPORARY.fullmatch(call.file))
    on_points = "points: 1 finished" in clean.stdout
    anywhere = call.kind in ("fstat", "stat", "lseek", "connect", "fork") or (
        call.name == "worker:read" and call.file.startswith("socket:")
    )
    if call.kind in ("opendir", "readdir"):
        harmless = _is_of_outputs(command, call.file)
    else:
        harmless = call.kind in HARMLESS and (temporary or anywhere)
    lines = [line for line in result.stderr.splitlines() if line.startswith("gcpt: ")]
    if result.status == 2:
        others = result.stderr.count("\n") - len(lines) if not command.line.startswith("debug") else 0  # gdb's own
        if len(lines) != 1 or others or "None" in lines[0]:
            problems.append(f"not one line: {result.stderr}")
    elif command.line.startswith("verify") and call.file.startswith("socket:") and result.status == 1:
        if result.stderr or result.stdout.count("\n") != 1:  # "failed", as for any machine that does not answer
            problems.append(f"not one line: {result.stdout}{result.stderr}")
    elif result.status == 1 and on_points:
        if result.stderr or not result.stdout.endswith(": 1 points: 1 failed\n") or "None" in result.stdout:
            problems.append(f"not the failure of a point: {result.stdout}{result.stderr}")
    elif result.status != 0 or not harmless:
        problems.append(f"status {result.status}: {result.stderr}")
    elif not (command.starts_machine or on_points) and (result.stdout, result.stderr) != (clean.stdout, clean.stderr):
        problems.append(f"another output: {result.stdout}{result.stderr}")
    written = set()
    for name in command.outputs:
        if name in now and (now[name] == after[name] or _is_complete(folder / name, now[name], command)):
            written.add(name)
        elif now.get(name) != before.get(name):
            problems.append(f"{name}: neither as before nor whole")
    if result.status == 0 and len(written) != len(command.outputs):
        problems.append("an output was not written")
    if (
        written
        and len(written) != len(command.outputs)
        and not (command.line.startswith("verify") or call.kind == "rename")
    ):
        problems.append(f"only {written} written")
    problems += [
        f"{name}: input changed" for name in before if name not in command.outputs and now.get(name) != before[name]
    ]
    known = {*before, *command.outputs}
    known |= {name for name in now if name.startswith(f"{command.results}/") and not name.endswith(".partial")}
    left = {*now, *(str(path.relative_to(folder)) for path in (folder / "tmp").iterdir())} - known
    if left and not (temporary and call.kind in _REMOVAL):
        problems.append(f"left: {left}")
    if running := processes_of(folder):
        problems.append(f"still running: {running}")
    return problems


def _chosen(calls: list[Call], generator: random.Random) -> list[Call]:
    """The calls to fail: of all that are alike (name and file), a few evenly spread; or one of each of some."""
    groups: dict[tuple[str, str], list[Call]] = {}
    for call in calls:
        groups.setdefault((call.name, re.sub(r"\d+", "", call.file)), []).append(call)
    if _CHOICE != "all":
        return [generator.choice(group) for group in generator.sample(list(groups.values()), min(_SAMPLE, len(groups)))]
    return [call for group in groups.values() for call in _spread(group)]


def _spread(group: list[Call]) -> list[Call]:
    """At most _MOST of the calls, evenly spread, with the first and the last."""
    count = min(len(group), _MOST)
    return [group[index * (len(group) - 1) // max(count - 1, 1)] for index in range(count)]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.line)
def test_each_call_fails_once(command: Command, inputs: Path, shim: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clean"
    _fresh(inputs, folder, command)
    before = _files(folder)
    clean = run(shim, folder, command.words)
    assert clean.status == 0, clean.stderr
    states = [before, _files(folder)]
    generator = random.Random(f"{_CHOICE} {command.line}")
    faults = [(call, generator.choice(ERRORS[call.kind])) for call in _chosen(clean.calls, generator)]

    def inject(number: int) -> list[str] | None:
        """The problems of a run with a fault; None if a machine's run did not come to the call."""
        (call, error), folder = faults[number], tmp_path / str(number)
        _fresh(inputs, folder, command)
        result = run(shim, folder, command.words, call, error)
        problems = _problems(command, folder, call, result, clean, states) if result.failed else None
        shutil.rmtree(folder)
        return problems and [f"{error} from {call}: {problem}" for problem in problems]

    with ThreadPoolExecutor(_JOBS) as pool:
        found = [problems for problems in pool.map(inject, range(len(faults))) if problems is not None]
    print(f"{len(clean.calls)} calls, {len(found)} failed (GCPT_FAULTS={_CHOICE})")
    assert not any(found), "\n".join(problem for problems in found for problem in problems)


def test_a_manifest_lacks_nothing(inputs: Path, shim: Path, tmp_path: Path) -> None:
    """Whichever folder or index of a set cannot be read: no manifest, and the old one stays."""
    folder, words = tmp_path / "folder", ["set", "scan", "set", "--quick", "-o", "quick.toml"]
    _fresh(inputs, folder, Command(""))
    (index := folder / "set/json/all.json").parent.mkdir()
    index.write_text('{"work": {"insts": "1", "points": {"1": "1.0"}}}')
    clean, before = run(shim, folder, words), (folder / "quick.toml").read_bytes()
    assert clean.status == 0, clean.stdout + clean.stderr
    calls = [call for call in clean.calls if call.name in ("opendir", "open", "read") and call.file.startswith("set")]
    assert {call.file for call in calls} >= {"set", "set/checkpoint/work/1", "set/json", "set/json/all.json"}
    for call in calls:
        done = run(shim, folder, words, call, "EIO")
        assert (done.status, done.failed, done.stderr.count("\n")) == (2, True, 1), (call, done.stdout + done.stderr)
        assert (folder / "quick.toml").read_bytes() == before


def test_a_worker_whose_connection_fails(inputs: Path, shim: Path, tmp_path: Path) -> None:
    """Its point fails, in one line, wherever the connection fails; no worker is left."""
    folder, swap = tmp_path / "folder", next(command for command in COMMANDS if command.line.startswith("set swap"))
    _fresh(inputs, folder, swap)
    clean = run(shim, folder, swap.words)
    calls = [call for call in clean.calls if call.name == "worker:write" and call.file.startswith("socket:")]
    for call in (*calls[:1], *calls[-1:]):
        _fresh(inputs, folder, swap)
        done = run(shim, folder, swap.words, call, "EIO")
        assert (done.status, done.failed, done.stderr) == (1, True, ""), done.stderr
        assert "killed (the worker was killed): 1" in done.stdout and not processes_of(folder), done.stdout


def test_a_file_system_that_cannot_copy(inputs: Path, shim: Path, tmp_path: Path) -> None:
    """The kernel's other way to copy the rest of a file writes the same bytes."""
    swap = Command("pack --swap other.bin packed.zst", ("packed.zst",))
    swapped = []
    for error in ("", "EXDEV", "EOPNOTSUPP"):
        folder = tmp_path / f"folder{error}"
        _fresh(inputs, folder, swap)
        call = Call("copy", 1, "packed.zst") if error else None
        done = run(shim, folder, swap.words, call, error)
        assert (done.status, done.failed) == (0, bool(error)), done.stderr
        swapped.append((folder / "packed.zst").read_bytes())
    assert swapped[0] == swapped[1] == swapped[2]
