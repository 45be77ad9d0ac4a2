"""The device tree that Spike makes for itself, for systems without the dtc that it compiles it with."""

from gcpt.machines.device_tree import Node, cells, encode, string
from gcpt.restorer.platforms import BY_NAME

_PLATFORM = BY_NAME["spike"]
_DEVICES = {device.name: device for device in _PLATFORM.controllers}
_CLINT_SIZE, _UART_SIZE = 0xC_0000, 0x100
_TIMEBASE, _CLOCK = 10_000_000, 1_000_000_000
_PMP_ENTRIES, _PMP_GRANULARITY = 16, 4
#: The PLIC's sources and priorities, and the console's source.
_SOURCES, _PRIORITIES, _CONSOLE = 31, 15, 1
#: Interrupts of a hart: M and S mode's external ones, software and timer in M mode.
_MEIP, _SEIP, _MSIP, _MTIP = 11, 9, 3, 7


def _words(*values: int) -> bytes:
    return b"".join(value.to_bytes(4, "big") for value in values)


def blob(isa: str, harts: int, base: int, memory: int) -> bytes:
    """Make the device tree.

    Args:
        isa: The argument of --isa.
        harts: Number of harts.
        base: Physical address of the memory.
        memory: Memory in bytes.

    Returns:
        What Spike takes as --dtb.
    """
    intcs, plic = range(1, harts + 1), harts + 1

    def wires(*interrupts: int) -> bytes:
        return _words(*(word for intc in intcs for interrupt in interrupts for word in (intc, interrupt)))

    wide = {"#address-cells": _words(2), "#size-cells": _words(2)}
    controller = {"#interrupt-cells": _words(1), "interrupt-controller": b""}
    clint, plic_at, uart = _PLATFORM.clint, _DEVICES["plic"], _DEVICES["16550"].address
    console = f"ns16550@{uart:x}"
    soc = [
        Node(
            f"clint@{clint:x}",
            {
                "compatible": string("riscv,clint0"),
                "interrupts-extended": wires(_MSIP, _MTIP),
                "reg": cells(clint, _CLINT_SIZE),
            },
        ),
        Node(
            f"plic@{plic_at.address:x}",
            {
                "compatible": string("riscv,plic0"),
                "#address-cells": _words(2),
                "interrupts-extended": wires(_MEIP, _SEIP),
                "reg": cells(plic_at.address, plic_at.size),
                "riscv,ndev": _words(_SOURCES),
                "riscv,max-priority": _words(_PRIORITIES),
                **controller,
                "phandle": _words(plic),
            },
        ),
        Node(
            console,
            {
                "compatible": string("ns16550a"),
                "clock-frequency": _words(_TIMEBASE),
                "interrupt-parent": _words(plic),
                "interrupts": _words(_CONSOLE),
                "reg": cells(uart, _UART_SIZE),
                "reg-shift": _words(0),
                "reg-io-width": _words(1),
            },
        ),
    ]
    cpus = {"#address-cells": _words(1), "#size-cells": _words(0), "timebase-frequency": _words(_TIMEBASE)}
    root = Node(
        "",
        {**wide, "compatible": string("ucbbar,spike-bare-dev"), "model": string("ucbbar,spike-bare")},
        [
            Node(
                "chosen",
                {"stdout-path": string(f"/soc/{console}"), "bootargs": string("console=ttyS0 earlycon")},
            ),
            Node("cpus", cpus, [_hart(number, intc, isa) for number, intc in enumerate(intcs)]),
            Node(f"memory@{base:x}", {"device_type": string("memory"), "reg": cells(base, memory)}),
            Node(
                "soc",
                {**wide, "compatible": string("ucbbar,spike-bare-soc") + string("simple-bus"), "ranges": b""},
                soc,
            ),
            Node("htif", {"compatible": string("ucb,htif0")}),
        ],
    )
    return encode(root)


def _hart(number: int, intc: int, isa: str) -> Node:
    """The node of a hart, with its interrupt controller."""
    properties = {
        "device_type": string("cpu"),
        "reg": _words(number),
        "status": string("okay"),
        "compatible": string("riscv"),
        "riscv,isa": string(isa),
        "mmu-type": string("riscv,sv57"),
        "riscv,pmpregions": _words(_PMP_ENTRIES),
        "riscv,pmpgranularity": _words(_PMP_GRANULARITY),
        "clock-frequency": _words(_CLOCK),
    }
    controller = {
        "#address-cells": _words(2),
        "#interrupt-cells": _words(1),
        "interrupt-controller": b"",
        "compatible": string("riscv,cpu-intc"),
        "phandle": _words(intc),
    }
    return Node(f"cpu@{number:x}", properties, [Node("interrupt-controller", controller)])
