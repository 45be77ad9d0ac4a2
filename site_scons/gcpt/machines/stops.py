"""Stop a running machine, with any number of harts and devices, after an exact number of instructions of one hart.

A plugin of QEMU counts the instructions that the hart starts. It cannot stop a machine, and gdb's stop takes effect at
the end of a translation block, which has at most 512 instructions. So the plugin holds the hart before the count is
reached, while the other harts run; the machine is asked to stop, and the hart is let go. The rest is stepped.
"""

import select
import socket
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

from gcpt.errors import UserError
from gcpt.isa.csrs import BY_NAME
from gcpt.machines.gdb import Gdb, GdbClosedError, GdbError, GdbTimeoutError
from gcpt.machines.plugins import Plugin, compiled_plugin
from gcpt.machines.replay import EndedError

#: Instructions before the count at which the plugin holds the hart: more than a translation block has.
_NEAR = 1000
_WFI = bytes.fromhex("73005010")
_MIE = BY_NAME["mie"].number
#: What the plugin says when it holds the hart.
_HELD = "held\n"
#: Seconds between two looks at the count.
_LOOK = 0.5
#: Seconds for a step. A hart that takes longer sleeps in a wfi, and the other harts run along: one may have to wake it.
_NAP = 1.0


class Counter:
    """The plugin of a running machine, which counts the instructions that a hart starts; a context manager."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("r", encoding="ascii")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._connection.close()  # lets a held hart go on, so that the machine can end

    def read(self, target: int = 0) -> int:
        """Read the count.

        Args:
            target: The count at which the hart is held from now on; 0: none, and a held hart goes on.

        Returns:
            The count.

        Raises:
            EndedError: The machine ended.
        """
        try:
            self._connection.sendall(b"%d\n" % target)
            while (line := self._lines.readline()) == _HELD:
                pass
            return int(line)
        except (OSError, ValueError) as error:
            raise EndedError("the machine ended") from error

    def wait(self) -> None:
        """Wait until the hart is held, or for a while."""
        select.select([self._connection], [], [], _LOOK)


def plugin(hart: int, folder: Path) -> AbstractContextManager[Plugin]:
    """Prepare the plugin for a machine to start.

    Args:
        hart: The hart to count.
        folder: Folder for it.

    Returns:
        The plugin, when entered, which raises UserError if it cannot be compiled.
    """
    return compiled_plugin("stops", folder, f"hart={hart}")


def run_to(
    gdb: Gdb, counter: Counter, hart: int, target: int, timeout: float, option: str, advance: Callable[[int], None]
) -> None:
    """Run a stopped machine until a hart has started a number of instructions.

    Args:
        gdb: The machine.
        counter: Its plugin.
        hart: The hart that the plugin counts.
        target: The count to reach, not less than that of now.
        timeout: Seconds to wait.
        option: The option that asks for it, for messages.
        advance: Called with the number of instructions executed.

    Raises:
        EndedError: The machine ended before.
        UserError: The hart did not reach the count in time, or went on beyond it.
        GdbError: The stub refused.
    """
    deadline = time.monotonic() + timeout
    start = count = counter.read()

    def look(hold: int = 0) -> None:
        nonlocal count
        before, count = count, counter.read(hold)
        advance(count - before)
        if time.monotonic() > deadline:
            raise UserError(
                f"{option}: hart {hart} executed only {count - start} instructions within {timeout:g} s: give a longer "
                "--timeout (a hart that sleeps in a wfi executes none)"
            )

    try:
        if (near := target - _NEAR) > count:
            look(near)
            gdb.resume()
            while count < near:
                counter.wait()
                look(near)
            gdb.request_stop()
            look()
            gdb.wait_stop(timeout)
            look()
        gdb.let_steps_take_interrupts(True)
        with_others = False
        while count < target:
            # A wfi that ends executes the next instruction in the same step: as the last one it must not end.
            enabled = gdb.read_csr(hart, _MIE) if count + 1 == target and _is_at_wfi(gdb, hart) else None
            if enabled is not None:
                gdb.write_csr(hart, _MIE, 0)
            try:
                gdb.step(hart, _NAP, with_others)
            except GdbTimeoutError:
                gdb.interrupt()
                with_others = True
            if enabled is not None:
                gdb.write_csr(hart, _MIE, enabled)
            look()
        gdb.let_steps_take_interrupts(False)
    except (EndedError, GdbClosedError) as error:
        raise EndedError(f"the machine ended before {option}: give fewer instructions") from error
    if count > target:
        raise UserError(f"{option}: hart {hart} could not be stopped before {count - target} more: start again")


def _is_at_wfi(gdb: Gdb, hart: int) -> bool:
    try:
        return gdb.read_memory(gdb.read_int(hart, "pc"), len(_WFI), hart, physical=False) == _WFI
    except GdbClosedError:
        raise
    except GdbError:  # its page is not there: a fault comes next
        return False
