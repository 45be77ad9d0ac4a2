"""``gcpt verify``: boot a checkpoint on a simulator and compare every register with it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gcpt.cli.judge import JUDGES, judge_options
from gcpt.cli.output import InputPath, OutputPath, Seconds, json_option, say_json, unpacking
from gcpt.console import print_table
from gcpt.errors import UserError
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.comparison import Comparison, Mismatch
    from gcpt.machines.judges import Judge


@click.command()
@click.argument("checkpoint", type=InputPath())
@click.option(
    "--restorer",
    type=InputPath(),
    help="A gcpt.bin; by default the embedded one, or one built now.",
)
@click.option("--flash", type=InputPath(), help="The flash image of a flash pair (it holds the state).")
@click.option("--timeout", type=Seconds(), default=60, show_default=True, help="Seconds for all harts to arrive.")
@click.option("--logs", type=OutputPath(), help="Keep the simulator's logs in this folder.")
@json_option
@judge_options(*JUDGES)
def command(
    checkpoint: Path,
    restorer: Path | None,
    flash: Path | None,
    timeout: float,
    logs: Path | None,
    as_json: bool,
    judge: "Judge",
) -> int:
    """Verify that CHECKPOINT restores exactly.

    Boots it in QEMU, in Spike or on Rocket's RTL, stops each hart at its first restored instruction and compares every
    register, CSR and timer. Mismatches with an explanation (WARL: the hart cannot hold the whole value; the hart does
    not have the CSR) are listed with it. Exit status 1: there is a mismatch without one, or the restorer refused.

    \b
    Example:
      gcpt verify uboot.zst
      gcpt verify --restorer build/gcpt.bin linux.gz
      gcpt verify --on spike uboot.zst
      gcpt verify --on rtl uboot.zst -- +verilator+seed+7
      gcpt verify --qemu ./qemu-system-riscv64 --cpu rv64,v=true,vlen=256 uboot.zst -- -icount shift=0
    """
    from gcpt.checkpoint import apart
    from gcpt.machines import rocket, rocket_verification, spike, spike_verification
    from gcpt.machines.boot import prepare
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.qemu import LOGS, Qemu, QemuError
    from gcpt.machines.rocket import RocketError
    from gcpt.machines.spike import SpikeError
    from gcpt.machines.verification import verify_machine

    for name in {"spike": spike.LOGS, "rtl": rocket.LOGS, "qemu": LOGS}[judge.name] if logs else ():
        inputs = {"CHECKPOINT": checkpoint, "--flash": flash, "--restorer": restorer}
        apart.check("--logs:", logs and logs / name, inputs)
    with scratch_folder() as folder:
        with unpacking(checkpoint, flash) as watch:
            setup = prepare(checkpoint, folder, restorer, flash, watch=watch, judge=judge)
        if logs:
            try:
                logs.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"--logs {logs}: {error.strerror}: choose a folder") from error
        if setup.note and not as_json:
            print(f"note: {setup.note}")
        groups, clint = setup.config.csr_groups, setup.config.platform.clint
        if judge.name == "spike":
            try:
                report = spike_verification.verify(setup, folder, logs or folder, timeout)
            except SpikeError as error:
                return _report_stop(checkpoint, error.console, f"{error}; --logs DIR keeps Spike's logs", as_json)
            return _report(checkpoint, len(setup.harts), report, as_json)
        if judge.name == "rtl":
            try:
                model = rocket_verification.machine(setup, lambda text: click.echo(f"gcpt: {text}", err=True))
                report = rocket_verification.verify(setup, model, folder, logs or folder, timeout)
            except RocketError as error:
                return _report_stop(checkpoint, error.console, f"{error}; --logs DIR keeps its logs", as_json)
            return _report(checkpoint, len(setup.harts), report, as_json)
        try:
            with Qemu(setup.memory, setup.machine, logs or folder) as running:
                try:
                    report = verify_machine(running, setup.harts, groups, clint, timeout, setup.leave)
                except (GdbError, QemuError) as error:
                    return _report_stop(checkpoint, running.output(), _reason(error), as_json)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: ./sconsw --setup-only installs QEMU") from error
    return _report(checkpoint, len(setup.harts), report, as_json)


def _report(checkpoint: Path, harts: int, report: "Comparison", as_json: bool) -> int:
    """Print the result of a comparison; return the exit status."""

    def row(mismatch: "Mismatch") -> tuple[str, ...]:
        return str(mismatch.hart), mismatch.name, mismatch.wanted, mismatch.got, mismatch.reason or "UNEXPLAINED"

    unexplained = len(report.unexplained)
    exact = report.items - len(report.mismatches)
    if as_json:
        names = ("name", "wanted", "got", "reason")
        rows = [
            {"hart": mismatch.hart, **dict(zip(names, row(mismatch)[1:], strict=True))}
            for mismatch in report.mismatches
        ]
        say_json({"compared": report.items, "exact": exact, "unexplained": unexplained, "differences": rows})
    else:
        if report.mismatches:
            print_table(("hart", "register", "checkpoint", "machine", "why"), map(row, report.mismatches))
        print(
            f"{checkpoint}: {harts} hart{'s' * (harts > 1)}, {exact} of {report.items} exact",
            end="",
        )
        print(f", {len(report.mismatches) - unexplained} explained, {unexplained} unexplained")
    return 1 if unexplained else 0


def _reason(error: Exception) -> str:
    """Return the first line of an error of QEMU; the rest repeats the logs."""
    return str(error).splitlines()[0] + "; --logs DIR keeps QEMU's logs"


def _report_stop(checkpoint: Path, console: str, reason: str, as_json: bool) -> int:
    """Report a machine that stopped elsewhere: by the restorer's own line on the console, if there is one."""
    if line := re.search(r"^gcpt: error (\d+) hart \d+.*$", console, re.MULTILINE):
        return _report_refusal(line[0].strip(), int(line[1]), as_json)
    return _report_failure(f"{checkpoint}: {reason}", as_json)


def _report_failure(reason: str, as_json: bool) -> int:
    if as_json:
        say_json({"failed": reason})
    else:
        print(reason)
    return 1


def _report_refusal(line: str, number: int, as_json: bool) -> int:
    from gcpt.restorer.codes import CODES

    sentence = next((code.sentence for code in CODES if code.number == number), "gcpt does not know this code")
    if as_json:
        say_json({"refused": number, "line": line, "sentence": sentence})
    else:
        print(f"the restorer refused: {line}\n{sentence}")
    return 1
