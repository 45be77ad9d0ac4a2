"""Names and places of files: each command works with them, or names the culprit in one line and changes nothing."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from command import ENVIRONMENT, UNMEASURED, UNSHARE, gcpt, here, refusal, restore_signals

from gcpt.machines.builds import BuiltRestorer

GCPT = [sys.executable, "-m", "gcpt"]
#: 5,000 digits, which Python does not convert.
DIGITS = "9" * 5000
#: Names of a folder and of the files in it.
NAMES = {
    "quote": "a'b",
    "quotes": 'a "b" c',
    "bytes": os.fsdecode(b"a\xff\xc3"),
    "comma": "a,b,,c",
    "spaces": "a  b ",
    "dash": "-x",
    "newline": "a\nb",
    "dollar": "$HOME#",
    "backslash": "a\\b",
    "long": "n" * 245,
}
#: Commands that have to work in such a folder: "ckpt" and "restorer" are files there, "out" and "more" outputs.
WORKING = (
    "info ckpt",
    "info ckpt --html out.html",
    "convert ckpt out.raw",
    "convert ckpt out.raw --layout flash --flash-out more",
    "convert ckpt ckpt --container gzip",
    "pack restorer ckpt -o out.zst",
    "pack restorer ckpt -o out.elf",
    "pack restorer ckpt -o out.hex",
    "diff ckpt ckpt",
    "verify ckpt --restorer restorer --logs logs",
    "debug ckpt --restorer restorer --batch --script out.py --symbols elf -x csrs",
    "snapshot -o out.gz --load restorer@0x80100000",
)
#: Commands with one name that cannot be used, "bad": as an input or as an output.
INPUTS = (
    "info bad",
    "info ckpt --flash bad",
    "validate bad",
    "validate ckpt --flash bad",
    "convert bad out",
    "convert ckpt out --flash bad",
    "pack bad ckpt -o out",
    "pack restorer bad -o out",
    "pack --swap restorer bad",
    "unpack bad -o out",
    "diff bad ckpt",
    "diff ckpt bad",
    "verify bad",
    "verify ckpt --restorer bad",
    "run bad",
    "run ckpt --restorer bad",
    "debug bad --batch",
    "debug ckpt --restorer restorer --symbols bad --batch",
    "snapshot -o out --load bad@0x80100000",
)
OUTPUTS = (
    "info ckpt --html bad",
    "convert ckpt bad",
    "convert ckpt out --layout flash --flash-out bad",
    "pack restorer ckpt -o bad",
    "pack restorer ckpt -o bad --format elf",
    "pack restorer ckpt -o bad --format hex",
    "unpack packed -o bad",
    "unpack packed --restorer-out bad",
    "debug ckpt --restorer restorer --script bad --batch",
    "snapshot -o bad --load restorer@0x80100000",
    "snapshot -o out --load restorer@0x80100000 --layout flash --flash-out bad",
)


@pytest.fixture
def restorer(build_restorer: Callable[..., BuiltRestorer]) -> BuiltRestorer:
    return build_restorer(mode="single_core", platform="qemu-virt")


@pytest.fixture
def files(tmp_path: Path, checkpoint_file: Callable[..., Path], restorer: BuiltRestorer) -> dict[str, Path]:
    """A checkpoint and a restorer, by the words of the tables above."""
    return {"ckpt": checkpoint_file(), "restorer": Path(shutil.copy(restorer.image, tmp_path / "gcpt.bin"))}


def _run(arguments: list[str], folder: Path, setup: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``gcpt`` in a folder, after the shell commands ``setup``, which may forbid the figures of coverage."""
    return subprocess.run(
        ["bash", "-c", f'{setup}\n exec "$@"', "bash", *GCPT, *arguments],
        cwd=folder,
        env={**(UNMEASURED if setup else ENVIRONMENT), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=120,
        check=False,
    )


def _words(command: str, names: dict[str, str]) -> list[str]:
    return [
        "@".join(names.get(part, part) for part in word.split("@")) if "@" in word else names.get(word, word)
        for word in command.split()
    ]


@pytest.mark.parametrize("kind", NAMES)
def test_every_command_works_with_a_name(kind: str, files: dict[str, Path], restorer: BuiltRestorer) -> None:
    """In arguments and in TMPDIR, which ends up in options of QEMU and gdb."""
    name = NAMES[kind]
    folder = files["ckpt"].parent / name
    folder.mkdir()
    paths = {word: str(shutil.copy(path, folder / f"{name}.{word}")) for word, path in files.items()}
    paths |= {"elf": str(shutil.copy(restorer.elf, folder / f"{name}.elf")), "logs": str(folder / f"{name}.logs")}
    ending = {"out.html": "html", "out.raw": "raw", "out.py": "py"}
    paths |= {
        word: str(folder / f"{name}.{ending.get(word, word[4:])}")
        for word in " ".join(WORKING).split()
        if "out." in word
    }
    paths["more"] = str(folder / f"{name}.more.raw")
    for command in WORKING:
        run = _run(_words(command, paths), folder, TMPDIR=str(folder))
        ignored = ("warning: newly-added symbol file", "warning: No executable", "determining executable automatically")
        errors = [line for line in run.stderr.replace(name, "NAME").splitlines() if not line.startswith(ignored)]
        assert (run.returncode, errors) == (0, []), (command, run.stdout[-300:], run.stderr)
        assert "Traceback" not in run.stdout and "No such file" not in run.stdout
    assert not [path.name for path in folder.iterdir() if path.name.startswith(("gcpt-", "."))]


@pytest.mark.parametrize("length", [252, 255])
def test_the_longest_names(length: int, files: dict[str, Path]) -> None:
    """The partial file next to an output has a name that fits."""
    out = files["ckpt"].with_name("n" * (length - 4) + ".raw")
    for command in (["convert", files["ckpt"], out], ["pack", files["restorer"], files["ckpt"], "-o", out]):
        run = gcpt(*command)
        assert (run.returncode, run.stderr) == (0, "")
    assert "File name too long" in refusal(gcpt("convert", files["ckpt"], files["ckpt"].with_name("n" * 256)))


@pytest.mark.parametrize("kind", ["folder", "loop", "in a file", "in a loop", "too long", "empty", "bytes"])
def test_a_name_that_cannot_be_used(
    kind: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within this process, but for names that are no text, which a process of its own has to print."""
    monkeypatch.chdir(tmp_path)
    folder, loop = tmp_path / "folder", tmp_path / "loop"
    folder.mkdir()
    loop.symlink_to("loop")
    packed = tmp_path / "packed"
    assert gcpt("pack", files["restorer"], files["ckpt"], "-o", packed).returncode == 0
    bad = {
        "folder": str(folder),
        "loop": str(loop),
        "in a file": str(files["ckpt"] / "x"),
        "in a loop": str(loop / "x"),
        "too long": str(tmp_path / ("n" * 256)),
        "empty": "",
        "bytes": os.fsdecode(os.fsencode(tmp_path) + b"/no\xff/x"),
    }[kind]
    names = {word: str(path) for word, path in files.items()}
    names |= {"packed": str(packed), "out": str(tmp_path / "out")}
    before = sorted(tmp_path.iterdir())
    for command in (*INPUTS, *OUTPUTS):
        name = bad + ".py" * (bool(bad) and "--script" in command and kind not in ("folder", "loop"))
        words = _words(command, {**names, "bad": name})
        message = refusal(_run(words, tmp_path) if kind == "bytes" else here(*words))
        assert name in message, command
        assert sorted(tmp_path.iterdir()) == before, command


@pytest.mark.parametrize(
    "command",
    [
        "info ckpt --hart N",
        "validate ckpt --harts N",
        "pack restorer ckpt -o out.elf --base N",
        "pack restorer ckpt -o out.elf --base 0xN",
        "verify ckpt --timeout N",
        "run ckpt --memory N",
        "run ckpt --memory NM",
        "debug ckpt --memory N",
        "debug ckpt --server N",
        "snapshot -o out --load restorer@N",
        "snapshot -o out --load restorer@0xN",
        "snapshot -o out --load restorer@0x80100000 --at 0xN",
        "snapshot -o out --load restorer@0x80100000 --start N",
        "snapshot -o out --load restorer@0x80100000 --start 0xN",
        "snapshot -o out --load restorer@0x80100000 --harts N",
        "snapshot -o out --load restorer@0x80100000 --after N",
        "snapshot -o out --load restorer@0x80100000 --after NM",
        "snapshot -o out --load restorer@0x80100000 --every N --last N",
        "profile -o out --load restorer@0x80100000 --interval NG",
        "generate -o out --load restorer@0x80100000 --interval 1 --last N",
        "verify ckpt --continue N --against ckpt",
        "snapshot -o out --load restorer@0x80100000 --vlen N",
        "snapshot -o out --load restorer@0x80100000 --memory N",
        "snapshot -o out --load restorer@0x80100000 --on x{N}",
        "snapshot -o out --gdb :1 --qmp :N",
    ],
)
def test_a_number_of_5000_digits(command: str, files: dict[str, Path], tmp_path: Path) -> None:
    names = {word: str(path) for word, path in files.items()} | {"out": str(tmp_path / "out")}
    words = [word.replace("\0", DIGITS) for word in _words(command.replace("N", "\0"), names)]
    assert len(refusal(_run(words, tmp_path))) < 1000


@pytest.mark.parametrize("digit", ["²", "٣"])
def test_digits_of_other_scripts(digit: str, files: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "is not a size" in refusal(gcpt("run", files["ckpt"], "--memory", f"{digit}M"))
    assert f":{digit}" in refusal(gcpt("snapshot", "-o", out, "--gdb", ":1", "--qmp", f":{digit}"))


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--start", "0x80100001", "--start: no instruction starts at the odd address 0x80100001"),
        ("--at", "0x80100001", "--at: no instruction starts at the odd address 0x80100001"),
        ("--start", "-2", "out of range"),
        ("--at", "0x10000000000000000", "out of range"),
        ("--vlen", "129", "--vlen 129: want a power of two"),
    ],
)
def test_addresses_that_no_hart_reaches(
    option: str, value: str, message: str, files: dict[str, Path], tmp_path: Path
) -> None:
    """They are found before a machine starts."""
    run = gcpt("snapshot", "-o", tmp_path / "out", "--load", f"{files['restorer']}@0x80100000", option, value)
    assert message in refusal(run)


def test_code_at_an_odd_address(files: dict[str, Path], tmp_path: Path) -> None:
    """Code is refused there; data is not."""
    out = tmp_path / "out"
    message = refusal(gcpt("snapshot", "-o", out, "--load", f"{files['restorer']}@0x80100001"))
    assert message == (
        f"--load {files['restorer']}: no instruction starts at the odd address 0x80100001: give an even one"
    )
    data = ("--load", f"{files['restorer']}@0x80200001", "--start", "0x80100000", "--force")
    run = gcpt("snapshot", "-o", out, "--load", f"{files['restorer']}@0x80100000", *data)
    assert (run.returncode, run.stderr) == (0, "")


#: Commands that use a temporary folder.
TEMPORARY = (
    "verify ckpt --restorer restorer",
    "debug ckpt --restorer restorer --batch",
    "snapshot -o out --load restorer@0x80100000",
)


@pytest.mark.parametrize("kind", ["long", "missing", "a file"])
def test_temporary_folders_that_need_another_place(kind: str, files: dict[str, Path], tmp_path: Path) -> None:
    """A socket goes to a folder with a short path; instead of a missing folder, the system's is used."""
    long = tmp_path / ("l" * 200)
    long.mkdir()
    temporary = {"long": long, "missing": tmp_path / "missing", "a file": files["ckpt"]}[kind]
    names = {word: str(path) for word, path in files.items()} | {"out": str(tmp_path / "out")}
    for command in TEMPORARY:
        run = _run(_words(command, names), tmp_path, TMPDIR=str(temporary))
        assert run.returncode == 0, run.stderr
    assert not list(long.iterdir())


@pytest.mark.parametrize("size", ["4k", "64k", "300k", "2M"])
def test_a_full_temporary_folder(size: str, files: dict[str, Path], tmp_path: Path) -> None:
    """A file system of this size, in a mount namespace of its own."""
    small, out = tmp_path / "small", tmp_path / "out"
    small.mkdir()
    namespace = [*UNSHARE, "--mount"]
    mount = f'mount -t tmpfs -o size={size} none "{small}" && exec "$@"'
    assert subprocess.run([*namespace, "true"], check=False).returncode == 0, "this needs mount namespaces: run as root"
    names = {word: str(path) for word, path in files.items()} | {"out": str(out)}
    for command in TEMPORARY:
        run = subprocess.run(
            [*namespace, "bash", "-c", mount, "bash", *GCPT, *_words(command, names)],
            env={**ENVIRONMENT, "TMPDIR": str(small)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if run.returncode:  # the memory of a machine fits, because it is sparse, until the machine writes to it
            message = run.stderr + run.stdout
            assert str(small) in message and "TMPDIR" in message, (command, message)
            assert run.stderr.count("\n") <= 1 and not out.exists()
        else:
            assert size == "2M" or command.startswith("debug"), command
        out.unlink(missing_ok=True)


def test_no_temporary_folder_at_all(files: dict[str, Path], tmp_path: Path) -> None:
    """Neither TMPDIR nor the system's folders take a file: the process may write none."""
    names = {word: str(path) for word, path in files.items()} | {"out": str(tmp_path / "out")}
    for command in TEMPORARY:
        message = refusal(_run(_words(command, names), tmp_path, "ulimit -f 0", TMPDIR=str(tmp_path)))
        assert message.startswith(f"{tmp_path}: no temporary folder") and "set TMPDIR" in message


@pytest.mark.parametrize("command", ["info ckpt", "convert ckpt out", "verify ckpt --restorer restorer"])
def test_a_deleted_working_folder(command: str, files: dict[str, Path], tmp_path: Path) -> None:
    """Absolute names work; a relative name is what is missing."""
    gone = tmp_path / "gone"
    gone.mkdir()
    names = {word: str(path) for word, path in files.items()} | {"out": str(tmp_path / "out")}
    run = _run(_words(command, names), gone, f"rmdir '{gone}'")
    assert run.returncode == 0, run.stderr
    gone.mkdir()
    message = refusal(_run(_words(command, {**names, "ckpt": "ckpt.zst"}), gone, f"rmdir '{gone}'"))
    assert message == "ckpt.zst: No such file or directory"
    if "out" in command:
        gone.mkdir()
        message = refusal(_run(_words(command, {**names, "out": "out.raw"}), gone, f"rmdir '{gone}'"))
        assert message.startswith("out.raw: No such file or directory")


@pytest.mark.parametrize("module", ["google", "click", "isal"])
@pytest.mark.parametrize("form", ["{}/__init__.py", "{}.py"])
def test_a_foreign_package(module: str, form: str, files: dict[str, Path], tmp_path: Path) -> None:
    """On PYTHONPATH, of the name of one that gcpt uses: the line names it and its place."""
    foreign = tmp_path / "foreign" / form.format(module)
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    path = f"{tmp_path / 'foreign'}:{ENVIRONMENT['PYTHONPATH']}"
    message = refusal(_run(["info", str(files["ckpt"])], tmp_path, PYTHONPATH=path))
    assert module in message and str(tmp_path / "foreign") in message and "PYTHONPATH" in message


@pytest.mark.parametrize("start", [GCPT, [str(Path(sys.executable).with_name("gcpt"))]], ids=["module", "script"])
def test_ctrl_c_in_the_first_moments(start: list[str], files: dict[str, Path], tmp_path: Path) -> None:
    """At each import of gcpt's and of its libraries: status 130, one line, no traceback."""
    modules = [
        "gcpt.interrupts",
        "gcpt.cli",
        "click",
        "json",
        "gcpt.checkpoint.files",
        "google.protobuf",
        "isal",
        "backports.zstd",
    ]
    hook = tmp_path / "hook" / "sitecustomize.py"
    hook.parent.mkdir()
    hook.write_text(
        "import os, signal, sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == os.environ.get('INTERRUPT_AT'):\n"
        "            del os.environ['INTERRUPT_AT']\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
    )
    for module in modules:
        environment = {**UNMEASURED, "INTERRUPT_AT": module}
        environment["PYTHONPATH"] = f"{hook.parent}:{ENVIRONMENT['PYTHONPATH']}"
        command = [*start, "info", str(files["ckpt"])]
        run = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            preexec_fn=restore_signals,
        )
        assert (run.returncode, run.stdout, run.stderr.strip()) == (130, "", "gcpt: interrupted"), module


def test_ctrl_c_at_any_moment(files: dict[str, Path]) -> None:
    """From the end of Python's own start to the end of the command."""
    for delay in range(40, 400, 24):
        with subprocess.Popen(
            [*GCPT, "info", files["ckpt"]], env=UNMEASURED, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as running:
            time.sleep(delay / 1000)
            running.send_signal(signal.SIGINT)
            _, errors = running.communicate(timeout=60)
        if running.returncode == 130:
            assert errors.strip() == "gcpt: interrupted"
        else:  # too early for gcpt, or too late
            assert running.returncode == 0 or "site_scons" not in errors, errors
