from pathlib import Path

import pytest

from gcpt.build import launch
from gcpt.errors import UserError
from gcpt.restorer.resolution import resolve


def test_a_run_in_qemu_has_other_defaults():
    assert launch.with_defaults({"log": "info"}, ["run"]) == {"log": "info", "platform": "qemu-virt", "mode": "auto"}
    assert launch.with_defaults({"mode": "normal"}, ["debug"])["mode"] == "normal"
    for targets in ([], ["build"], ["test", "compiledb"]):
        assert launch.with_defaults({"log": "info"}, targets) == {"log": "info"}


@pytest.mark.parametrize(
    ("values", "targets", "words"),
    [
        ({"platform": "spike"}, ["run"], "platform=spike: run uses QEMU's virt machine"),
        ({"flash": "1"}, ["debug-server"], "flash=1: debug-server loads the restorer into memory"),
        ({"ckpt": "/nowhere/x.gz"}, ["debug"], "ckpt=/nowhere/x.gz: no such file"),
        ({"ckpt": "/"}, ["run"], "ckpt=/: not a file"),
        ({}, ["run", "debug"], "run and debug both need the terminal"),
    ],
)
def test_what_does_not_fit_is_refused(values, targets, words):
    with pytest.raises(UserError, match=words):
        launch.with_defaults(values, targets)


def test_any_machines_options_become_those_of_qemu():
    values = {"platform": "kmh-fpga", "uart": "htif", "flash": "1", "log": "info", "ide": "vscode"}
    wanted = launch.for_qemu(values)
    resolve(wanted)
    assert launch.as_arguments(wanted, values) == ["log=info", "platform=qemu-virt", "mode=auto", "uart=", "flash="]
    read = dict(word.split("=", 1) for word in launch.as_arguments(wanted, values))
    assert resolve(values | read).variant == resolve(wanted).variant


def test_the_commands_are_those_of_gcpt_with_the_variants_own_files():
    config = resolve({"mode": "single_core", "platform": "qemu-virt", "build_dir": "out"})
    folder = Path("out/single_core-qemu-virt")
    run = launch.command("run", config, "x.gz", "")
    assert run[1:] == ["-m", "gcpt", "run", "x.gz", "--restorer", f"{folder}/gcpt.bin"]
    debug = launch.command("debug", config, "x.gz", "")
    assert debug[-2:] == ["--symbols", f"{folder}/gcpt.elf"]
    assert launch.command("debug-server", config, "x.gz", "99")[-2:] == ["--server", "99"]
    assert launch.command("debug-server", config, "x.gz", "")[-2:] == ["--server", "1234"]
