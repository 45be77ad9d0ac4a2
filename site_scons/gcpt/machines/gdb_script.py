"""The script that adds gcpt's commands to gdb: it names harts, lists CSRs and breaks at restored pcs.

Any gdb with Python can source it, before or after it is connected.
"""

from collections.abc import Mapping

from gcpt.isa.csrs import INVENTORY

_COMMANDS = '''
from fnmatch import fnmatchcase

import gdb


def _name(thread):
    thread.name = f"hart {thread.num - 1}"


def _threads():
    return sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)


class Harts(gdb.Command):
    """harts: list where each hart is. "thread N" selects hart N-1."""

    def __init__(self):
        super().__init__("harts", gdb.COMMAND_STATUS)

    def invoke(self, argument, from_tty):
        selected = gdb.selected_thread()
        for thread in _threads():
            thread.switch()
            pc = int(gdb.parse_and_eval("(unsigned long)$pc"))
            mode = {0: "U", 1: "S", 3: "M"}.get(int(gdb.parse_and_eval("(int)$priv")) & 3, "?")
            note = " (its restored pc)" if RESTORED.get(thread.num - 1) == pc else ""
            print(f"{'*' if thread == selected else ' '} hart {thread.num - 1}: {mode} pc {pc:#x}{note}")
        selected.switch()


class Csrs(gdb.Command):
    """csrs [WORD...]: list the CSRs of the selected hart that are not zero; with WORDs, all that match.

    WORD: a group (docs/csrs.md), the start of a name, or a pattern such as vs* or pmpcfg?."""

    def __init__(self):
        super().__init__("csrs", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = argument.split()
        for word in words:
            if not any(group == word or fnmatchcase(name, word + "*") for name, group in CSRS):
                raise gdb.GdbError(f"csrs: {word}: no such group or CSR: docs/csrs.md lists them")
        print(f"hart {gdb.selected_thread().num - 1}")
        for name, group in CSRS:
            if words and not any(group == word or fnmatchcase(name, word + "*") for word in words):
                continue
            try:
                value = int(gdb.parse_and_eval(f"(unsigned long)${name}"))
            except gdb.error:
                continue  # QEMU does not describe this register
            if value or words:
                print(f"  {name:14} {value:#x}")


class Restored(gdb.Command):
    """restored: run until the selected hart is at its first restored instruction."""

    def __init__(self):
        super().__init__("restored", gdb.COMMAND_RUNNING)

    def invoke(self, argument, from_tty):
        thread = gdb.selected_thread()
        if thread.num - 1 not in RESTORED:
            raise gdb.GdbError(f"hart {thread.num - 1} is not restored from the checkpoint")
        point = gdb.Breakpoint(f"*{RESTORED[thread.num - 1]:#x}", type=gdb.BP_HARDWARE_BREAKPOINT, internal=True)
        point.thread = thread.num
        gdb.execute("continue", to_string=True)
        point.delete()
        gdb.execute("harts")


class BreakRestored(gdb.Command):
    """break-restored: stop each hart once at its first restored instruction."""

    def __init__(self):
        super().__init__("break-restored", gdb.COMMAND_BREAKPOINTS)

    def invoke(self, argument, from_tty):
        for thread in _threads():
            if thread.num - 1 in RESTORED:
                # A hardware breakpoint writes nothing to memory, which may not be mapped at that address yet.
                location = f"*{RESTORED[thread.num - 1]:#x}"
                point = gdb.Breakpoint(location, type=gdb.BP_HARDWARE_BREAKPOINT, temporary=True)
                point.thread = thread.num


for thread in _threads():
    _name(thread)
gdb.events.new_thread.connect(lambda event: _name(event.inferior_thread))
Harts()
Csrs()
Restored()
BreakRestored()
'''


def text(restored: Mapping[int, int]) -> str:
    """Return the script.

    Args:
        restored: The restored pc of each hart by number.

    Returns:
        Python source for gdb.
    """
    csrs = [(csr.name, csr.group) for csr in INVENTORY]
    return f"RESTORED = {dict(restored)!r}\nCSRS = {csrs!r}\n{_COMMANDS}"
