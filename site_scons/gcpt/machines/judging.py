"""Boot a checkpoint on its judge, whichever that is, and compare it."""

from collections.abc import Callable
from pathlib import Path

from gcpt.checkpoint import extended
from gcpt.checkpoint.extended import DeviceWrite, Entry
from gcpt.errors import SimulatorError
from gcpt.machines import qemu
from gcpt.machines.boot import BootSetup
from gcpt.machines.comparison import Comparison
from gcpt.machines.judges import Judge
from gcpt.restorer.platforms import BY_NAME, Platform


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


def not_compared(setup: BootSetup) -> str:
    """Name what the judge does not show: QEMU shows all, Spike and Rocket's RTL nothing of the extended state.

    Args:
        setup: The checkpoint and its judge.

    Returns:
        A line for the user; empty if everything is compared.

    Raises:
        ExtendedError: The extended state is damaged.
    """
    entries = [entry for state in setup.harts.values() for entry in extended.of(state) or ()]
    if setup.judge.name == "qemu" or not entries:
        return ""
    owners = dict.fromkeys(_owner(entry, BY_NAME[setup.judge.platform]) for entry in entries)
    return (
        f"{setup.judge.title} shows no registers of the extended state: {len(entries)} writes are not compared "
        f"({', '.join(owners)})"
    )


def _owner(entry: Entry, platform: Platform) -> str:
    """Return the device of a write, or the window of a register behind a selector."""
    if not isinstance(entry, DeviceWrite):
        return entry.name.split()[0]
    names = (device.name for device in platform.devices if device.has(entry.address, entry.size))
    return next(names, f"no device of {platform.name}")
