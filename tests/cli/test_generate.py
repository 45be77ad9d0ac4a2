"""``gcpt generate``: a whole set in one command, which resumes where it stopped."""

import json
import os
from pathlib import Path

import pytest
from command import gcpt, refusal
from guests import ADDRESS, LOAD_U_BOOT, OPENSBI, TWO_PHASES, build_kernel, exact, kernel_result

from gcpt.checkpoint import extended
from gcpt.checkpoint.files import load
from gcpt.checkpoint.layouts import MIB
from gcpt.restorer.options import CROSS_COMPILE

#: Instructions of an interval, and the intervals of each of the two phases.
_INTERVAL, _FIRST, _SECOND = 3593, 57, 85


def _arguments(folder: Path, *more: str) -> tuple[str | Path, ...]:
    (binary := folder / "two_phases.bin").write_bytes(TWO_PHASES)
    software = ("--load", f"{binary}@{ADDRESS:#x}", "--interval", str(_INTERVAL))
    return ("generate", "-o", folder / "set", *software, *more)


def _sparse(folder: Path) -> Path:
    """A file that is larger than the machine's memory."""
    with (path := folder / "sparse").open("wb") as file:
        file.truncate(128 << 20)
    return path


def _files(folder: Path) -> dict[str, int]:
    """All files of a set but its list, with the times of their last change."""
    files = [path for path in (folder / "set").rglob("*") if path.is_file() and path.suffix != ".lst"]
    return {str(path.relative_to(folder / "set")): path.stat().st_mtime_ns for path in files}


def test_a_set_in_one_command(tmp_path: Path) -> None:
    """Each phase has a checkpoint that restores; folders, names and indexes are those of sets; a scan finds all."""
    run = gcpt(*_arguments(tmp_path))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines()[-1] == f"{tmp_path / 'set'}: two_phases has 2 checkpoints, 2 of them new"
    index = json.loads((tmp_path / "set/json/two_phases.json").read_text())["two_phases"]
    assert index["insts"] == str(_INTERVAL * (_FIRST + _SECOND))
    assert [round(float(weight) * 142) for weight in index["points"].values()] == [_FIRST, _SECOND]
    first, second = map(int, index["points"])
    assert first < _FIRST <= second
    names = [f"checkpoint/two_phases/{n}/_{n}_{float(w):.6f}_memory_.zstd" for n, w in index["points"].items()]
    others = ["cluster/two_phases/simpoints0", "cluster/two_phases/weights0", "json/two_phases.json"]
    others += [f"profiling/two_phases/{name}" for name in ("options.json", "phases.html", "simpoint_bbv.gz")]
    assert sorted(_files(tmp_path)) == sorted([*names, *others])
    assert (tmp_path / "set/checkpoint/checkpoint.lst").read_text().splitlines() == [
        f"two_phases_{n} two_phases/{n} 0 0 0.003593 0.003593" for n in (first, second)
    ]
    for number, name in zip((first, second), names, strict=True):
        state, done = load(tmp_path / "set" / name).harts[0], number * _INTERVAL
        rounds = (done - 1) // 2 if number < _FIRST else (done - 204_802) // 3
        assert 102_400 - state.x[11] in (rounds, rounds + 1)
    exact(tmp_path / "set" / names[1])
    page = (tmp_path / "set/profiling/two_phases/phases.html").read_text()
    assert all(f'<tr data-point="{number}">' in page for number in (first, second))
    scan = gcpt("set", "scan", tmp_path / "set")
    assert scan.returncode == 0, scan.stdout + scan.stderr


def test_a_set_of_qemu_restores_on_spike(tmp_path: Path) -> None:
    """A bare-metal program, and U-Boot after OpenSBI, whose device registers Spike cannot show: they are named."""
    assert gcpt(*_arguments(tmp_path, "--max-k", "1")).returncode == 0
    software = (*LOAD_U_BOOT, "--at", "0x80200000", "--max-k", "1")
    run = gcpt(
        "generate", "-o", tmp_path / "set", "--name", "boot", *software, "--interval", "3000000", "--last", "12000000"
    )
    assert (run.returncode, run.stderr) == (0, "")
    run = gcpt("set", "verify", tmp_path / "set", "--on", "spike", "-o", tmp_path / "results")
    assert run.returncode == 0 and "2 points: 2 finished" in run.stdout, run.stdout + run.stderr
    [boot] = (tmp_path / "set/checkpoint/boot").rglob("*.zstd")
    run = gcpt("verify", "--on", "spike", boot)
    assert run.returncode == 0 and ", 0 unexplained" in run.stdout
    count = len(extended.of(load(boot).harts[0]) or ())
    note = f"note: Spike shows no registers of the extended state: {count} writes are not compared (16550, plic)"
    assert count and note in run.stdout.splitlines()
    assert "Spike shows no" not in gcpt("verify", "--on", "spike", "--json", boot).stdout


@pytest.mark.parametrize(("firmware", "harts"), [("jump", 1), ("dynamic", 1), ("jump", 2), ("dynamic", 2)])
def test_a_kernel(tmp_path: Path, firmware: str, harts: int) -> None:
    """It finds command line, initramfs and the reserved MiB by its device tree; a restored point has its result."""
    (initrd := tmp_path / "initrd").write_bytes(bytes(range(251)) * 16)
    image = build_kernel(tmp_path)
    if harts > 1:  # too large for the place where a fw_jump that counts from memory's start goes
        os.truncate(image, MIB + 1)
    boot = ("--firmware", OPENSBI.with_name(f"fw_{firmware}.bin"), "--kernel", image)
    boot += ("--initrd", initrd, "--append", "answer=42")
    tail = f"reserved {0x80000000:016x} {1 << 20:016x}, arguments answer=42"
    texts = [f"kernel: hart {hart:016x}, {tail}" for hart in range(harts)]  # OpenSBI draws the hart that boots
    result = f"kernel: result {kernel_result(initrd.read_bytes()):016x}"
    if harts > 1:
        first = tmp_path / "first.zst"
        run = gcpt("snapshot", "-o", first, *boot, "--harts", str(harts), "--at", "0x82400000")
        assert (run.returncode, run.stderr) == (0, "")
        exact(first)
    else:
        points = ("--interval", "250k", "--max-k", "8", "--start-at", f"console:{texts[0]}")
        run = gcpt("generate", "-o", tmp_path / "set", *boot, *points)
        assert (run.returncode, run.stderr) == (0, "")
        assert gcpt("set", "verify", tmp_path / "set").returncode == 0
        first = min((tmp_path / "set/checkpoint/Image").rglob("*.zstd"), key=lambda path: int(path.parent.name))
        other = gcpt("generate", "-o", tmp_path / "set", *boot[:-1], "answer=43", *points)
        assert "was begun with other machine" in refusal(other)
    lines = gcpt("run", first).stdout.splitlines()
    assert result in lines and (harts == 1 or {*texts} & {*lines})  # with one hart the set begins behind this text


def test_resumed(tmp_path: Path) -> None:
    """Only what is missing is generated again; other options are refused; a second workload joins the list."""
    assert gcpt(*_arguments(tmp_path)).returncode == 0
    before = _files(tmp_path)
    assert gcpt(*_arguments(tmp_path)).stdout.endswith("two_phases has 2 checkpoints, 0 of them new\n")
    assert _files(tmp_path) == before
    lost = next(name for name in before if name.startswith("checkpoint/"))
    content = (tmp_path / "set" / lost).read_bytes()
    (tmp_path / "set" / lost).unlink()
    assert gcpt(*_arguments(tmp_path)).stdout.endswith("two_phases has 2 checkpoints, 1 of them new\n")
    after = _files(tmp_path)
    assert {name for name in after if after[name] != before[name]} == {lost}
    assert (tmp_path / "set" / lost).read_bytes() == content
    assert "was begun with other profile" in refusal(gcpt(*_arguments(tmp_path, "--last", "100000")))
    assert gcpt(*_arguments(tmp_path, "--last", "100000", "--name", "other", "--max-k", "1")).returncode == 0
    lines = (tmp_path / "set/checkpoint/checkpoint.lst").read_text().splitlines()
    assert [line.split("_")[0] for line in lines] == ["two", "two", "other"]


def test_refused(tmp_path: Path) -> None:
    start = ("generate", "-o", tmp_path / "set")
    (tmp_path / "file").touch()
    late = ("generate", "-o", tmp_path / "late", "--load", f"{OPENSBI}@{ADDRESS:#x}", "--on", "never", "--timeout", "1")
    refusals = {
        "nothing to run": (*start, "--interval", "5"),
        "--name 'a/b': want letters": _arguments(tmp_path, "--name", "a/b"),
        "-netdev: QEMU cannot replay it": _arguments(tmp_path, "--", "-netdev", "user,id=n"),
        "choose another folder for the set": ("generate", "-o", tmp_path / "file", *_arguments(tmp_path)[3:]),
        "no-such: No such file": (*start, "--load", f"{tmp_path / 'no-such'}@{ADDRESS:#x}", "--interval", "5"),
        "did not print 'never' within 1 s": (*late, "--interval", "5"),
        "did not print 'never' within 1.5 s": (*late, "--timeout", "1.5", "--interval", "6"),
    }
    for message, arguments in refusals.items():
        assert message in refusal(gcpt(*arguments))
    (large := tmp_path / "large").write_bytes(bytes(MIB + 1))
    (kernel := tmp_path / "kernel").write_bytes(bytes(64))
    elf = build_kernel(tmp_path).with_name("kernel.elf")
    bad = {
        f"--kernel {kernel}: it needs firmware": ("--kernel", kernel),
        f"--initrd {kernel}: it is for a kernel": ("--firmware", OPENSBI, "--initrd", kernel),
        "--append x: it is for a kernel": ("--firmware", OPENSBI, "--append", "x"),
        f"--firmware {large}: 1,048,577 bytes reach the kernel": ("--firmware", large, "--kernel", kernel),
        f"convert it with {CROSS_COMPILE}objcopy -O binary {elf} {elf.stem}.bin\n": (
            "--firmware",
            OPENSBI,
            "--kernel",
            elf,
        ),
        "none: No such file": ("--firmware", OPENSBI, "--kernel", tmp_path / "none"),
        "give more --memory": (
            "--firmware",
            OPENSBI,
            "--kernel",
            kernel,
            "--memory",
            "2M",
            "--initrd",
            _sparse(tmp_path),
        ),
    }
    for message, arguments in bad.items():
        assert message in refusal(gcpt(*start, "--interval", "5", *arguments)) + "\n"
    assert not (tmp_path / "set").exists()
