"""``gcpt verify``: boots a checkpoint in QEMU and compares every register with it."""

import re
import tempfile
from pathlib import Path

import click

from gcpt.cli.output import Seconds, json_option, say_json, unpacking
from gcpt.console import print_table
from gcpt.errors import UserError


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--restorer", type=click.Path(path_type=Path), help="A gcpt.bin; by default the image's own, or a built one."
)
@click.option("--flash", type=click.Path(path_type=Path), help="The flash image that holds the state, of a pair.")
@click.option("--timeout", type=Seconds(), default=60, show_default=True, help="Seconds that all harts have to arrive.")
@click.option("--logs", type=click.Path(path_type=Path), help="Keep QEMU's logs in this folder.")
@json_option
def command(
    checkpoint: Path, restorer: Path | None, flash: Path | None, timeout: float, logs: Path | None, as_json: bool
) -> int:
    """Prove that CHECKPOINT restores exactly: boot it in QEMU, stop each hart at its first restored instruction,
    compare every register, CSR and timer.

    Differences that have an explanation (WARL: the hart holds no more of the value; a CSR that the hart lacks) are
    listed with it. Exit status 1: something differs without one, or the restorer refused.

    \b
    Example:
      gcpt verify uboot.zst
      gcpt verify --restorer build/gcpt.bin linux.gz
    """
    from gcpt.machines.comparison import Mismatch
    from gcpt.machines.prepared import prepare
    from gcpt.machines.qemu import Qemu, QemuError
    from gcpt.machines.verification import verify_machine

    with tempfile.TemporaryDirectory(prefix="gcpt-") as temporary:
        folder = Path(temporary)
        with unpacking(checkpoint, flash) as watch:
            ready = prepare(checkpoint, folder, restorer, flash, watch=watch)
        if logs:
            try:
                logs.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise UserError(f"--logs {logs}: {error.strerror}: name a folder") from error
        groups, clint = ready.restorer.csr_groups, ready.restorer.platform.clint
        try:
            with Qemu(ready.memory, ready.machine, logs or folder) as running:
                try:
                    report = verify_machine(running, ready.harts, groups, clint, timeout, ready.leave)
                except QemuError as error:
                    if said := re.search(r"^gcpt: error (\d+) hart \d+.*$", running.output(), re.MULTILINE):
                        return _refused(said[0], int(said[1]), as_json)
                    return _never_arrived(f"{checkpoint}: {_reason(error)}", as_json)
        except FileNotFoundError as error:
            raise UserError(f"{error.filename}: not found: ./sconsw --setup-only installs QEMU") from error

    def row(found: Mismatch) -> tuple[str, ...]:
        return str(found.hart), found.name, found.wanted, found.got, found.reason or "UNEXPLAINED"

    faults = len(report.unexplained)
    exact = report.items - len(report.mismatches)
    if as_json:
        names = ("name", "wanted", "got", "reason")
        rows = [{"hart": one.hart, **dict(zip(names, row(one)[1:], strict=True))} for one in report.mismatches]
        say_json({"compared": report.items, "exact": exact, "unexplained": faults, "differences": rows})
    else:
        if report.mismatches:
            print_table(("hart", "register", "checkpoint", "machine", "why"), map(row, report.mismatches))
        print(
            f"{checkpoint}: {len(ready.harts)} hart{'s' * (len(ready.harts) > 1)}, {exact} of {report.items} exact",
            end="",
        )
        print(f", {len(report.mismatches) - faults} explained, {faults} unexplained")
    return 1 if faults else 0


def _reason(error: Exception) -> str:
    """The first line of what went wrong: the rest is in the logs."""
    return str(error).splitlines()[0] + "; --logs DIR keeps QEMU's logs"


def _never_arrived(reason: str, as_json: bool) -> int:
    if as_json:
        say_json({"failed": reason})
    else:
        print(reason)
    return 1


def _refused(line: str, number: int, as_json: bool) -> int:
    from gcpt.restorer.codes import CODES

    sentence = next((code.sentence for code in CODES if code.number == number), "a code that gcpt does not know")
    if as_json:
        say_json({"refused": number, "line": line, "sentence": sentence})
    else:
        print(f"the restorer refused: {line}\n{sentence}")
    return 1
