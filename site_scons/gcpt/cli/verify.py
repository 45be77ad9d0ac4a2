"""``gcpt verify``: boot a checkpoint on a simulator and compare every register with it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gcpt.cli.judge import JUDGES, judge_options
from gcpt.cli.output import InputPath, OutputFolder, Seconds, json_option, say_json, unpacking
from gcpt.cli.quantities import Instructions
from gcpt.console import print_table
from gcpt.errors import SimulatorError, UserError
from gcpt.installing import remedy
from gcpt.scratch import scratch_folder

if TYPE_CHECKING:
    from gcpt.machines.boot import BootSetup
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
@click.option(
    "--continue",
    "instructions",
    type=Instructions(),
    help="Then let the restored hart execute exactly so many instructions, such as 20M, and compare it with --against.",
)
@click.option("--against", type=InputPath(), help="The checkpoint of the same run, so many instructions later.")
@click.option("--logs", type=OutputFolder(), help="Keep the simulator's logs in this folder.")
@json_option
@judge_options(*JUDGES)
def command(
    checkpoint: Path,
    restorer: Path | None,
    flash: Path | None,
    timeout: float,
    instructions: int | None,
    against: Path | None,
    logs: Path | None,
    as_json: bool,
    judge: "Judge",
) -> int:
    """Verify that CHECKPOINT restores exactly.

    Boots it in QEMU, in Spike or on Rocket's RTL, stops each hart at its first restored instruction and compares every
    register, CSR and timer. Mismatches with an explanation (WARL: the hart cannot hold the whole value; the hart does
    not have the CSR) are listed with it. Exit status 1: there is a mismatch without one, or the restorer refused.

    With --continue the restored hart then executes so many instructions, in QEMU's record and replay, and registers and
    memory are compared with a later checkpoint of the same run. They are equal unless the software uses time; the
    first instruction that does is listed with the differences. Exit status 1: something differs.

    \b
    Example:
      gcpt verify uboot.zst
      gcpt verify --restorer build/gcpt.bin linux.gz
      gcpt verify --on spike uboot.zst
      gcpt verify --continue 1M --against set/2000000/_2000000_0.500000_memory_.zstd \\
          set/1000000/_1000000_0.500000_memory_.zstd
      gcpt verify --on rtl uboot.zst -- +verilator+seed+7
      gcpt verify --qemu ./qemu-system-riscv64 --cpu rv64,v=true,vlen=256 uboot.zst -- -icount shift=0
    """
    from gcpt.checkpoint import apart, output, streams
    from gcpt.machines.boot import prepare
    from gcpt.machines.judging import compare, log_names, not_compared

    later = None
    if instructions or against:  # the modules take a sixth of the time of a verify without --continue
        from gcpt.cli import continuation
        from gcpt.machines.continuation import check

        later = continuation.open_later(instructions, against, judge)
    for name in log_names(judge) if logs else ():
        inputs = {"CHECKPOINT": checkpoint, "--flash": flash, "--restorer": restorer, "--against": against}
        apart.check("--logs:", logs and logs / name, inputs)
    with scratch_folder() as folder:
        with unpacking(checkpoint, flash) as watch:
            setup = prepare(checkpoint, folder, restorer, flash, watch=watch, judge=judge, early=not later)
        if logs:
            try:
                logs.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"--logs {logs}: {error.strerror}: choose a folder") from error
        fresh, result = replace(setup, memory=folder / "fresh"), None
        if later:
            check(setup, later)
            output.copy(streams.raw_chunks(setup.memory), fresh.memory)
        try:
            report = compare(setup, folder, logs or folder, timeout, _say)
            if later and instructions and not report.unexplained:
                result = continuation.continue_restored(fresh, later, instructions, folder, timeout)
        except SimulatorError as error:
            _print_note(setup, as_json)
            whose = "its" if judge.name == "rtl" else f"{judge.title}'s"
            return _report_stop(checkpoint, error.console, f"{error}; --logs DIR keeps {whose} logs", as_json)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: {remedy('QEMU')}") from error
    _print_note(setup, as_json)
    if (limit := not_compared(setup)) and not as_json:
        print(f"note: {limit}")
    continued = {"continued": continuation.describe(instructions, result)} if instructions and result else {}
    _report(checkpoint, len(setup.harts), report, continued, as_json)
    if instructions and against and result and not as_json:
        continuation.print_result(instructions, against, result)
    return 1 if report.unexplained or (result and result.differs) else 0


def _say(text: str) -> None:
    click.echo(f"gcpt: {text}", err=True)


def _print_note(setup: "BootSetup", as_json: bool) -> None:
    if setup.note and not as_json:
        print(f"note: {setup.note}")


def _report(checkpoint: Path, harts: int, report: "Comparison", continued: dict[str, Any], as_json: bool) -> None:
    """Print the result of a comparison, in JSON with that of --continue."""

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
        say_json(
            {"compared": report.items, "exact": exact, "unexplained": unexplained, "differences": rows, **continued}
        )
    else:
        if report.mismatches:
            print_table(("hart", "register", "checkpoint", "machine", "why"), map(row, report.mismatches))
        print(
            f"{checkpoint}: {harts} hart{'s' * (harts > 1)}, {exact} of {report.items} exact",
            end="",
        )
        print(f", {len(report.mismatches) - unexplained} explained, {unexplained} unexplained")


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
