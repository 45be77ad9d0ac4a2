"""Boot a checkpoint on its judge, whichever that is, and compare it."""

from collections.abc import Callable
from pathlib import Path

from gcpt.errors import SimulatorError
from gcpt.machines import qemu
from gcpt.machines.boot import BootSetup
from gcpt.machines.comparison import Comparison
from gcpt.machines.judges import Judge


def compare(setup: BootSetup, folder: Path, logs: Path, timeout: float, say: Callable[[str], None]) -> Comparison:
    """Boot a checkpoint on its judge and compare it.

    Args:
        setup: The checkpoint and its judge.
        folder: A temporary folder.
        logs: The folder for the simulator's logs.
        timeout: Seconds for all harts to arrive.
        say: Receives what takes long, in one line.

    Returns:
        The comparison.

    Raises:
        SimulatorError: A hart does not arrive, or the simulator ends.
    """
    if setup.judge.name == "spike":
        from gcpt.machines import spike_verification

        return spike_verification.verify(setup, folder, logs, timeout)
    if setup.judge.name == "rtl":
        from gcpt.machines import rocket_verification

        model = rocket_verification.machine(setup, say)
        return rocket_verification.verify(setup, model, folder, logs, timeout)
    from gcpt.machines.gdb import GdbError
    from gcpt.machines.qemu import Qemu, QemuError
    from gcpt.machines.verification import verify_machine

    groups, clint = setup.config.csr_groups, setup.config.platform.clint
    with Qemu(setup.memory, setup.machine, logs) as running:
        try:
            is_extended = setup.config.extended
            return verify_machine(running, setup.harts, groups, clint, timeout, setup.leave, is_extended)
        except (GdbError, QemuError) as error:  # whose other lines repeat the logs
            raise SimulatorError(str(error).splitlines()[0], running.output()) from error


def log_names(judge: Judge) -> tuple[str, ...]:
    """Return the names of a judge's logs.

    Args:
        judge: The judge.

    Returns:
        The names of the files.
    """
    if judge.name == "spike":
        from gcpt.machines import spike

        return spike.LOGS
    if judge.name == "rtl":
        from gcpt.machines import rocket

        return rocket.LOGS
    return qemu.LOGS
