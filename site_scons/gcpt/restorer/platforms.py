"""The inventory of platforms, one record per machine.

Addresses are physical, in bytes. Source: each project's memory map, collected in docs/platforms.md.
"""

from typing import NamedTuple

from gcpt.errors import UserError
from gcpt.isa import csrs

UART_KINDS = ("uartlite", "16550", "htif")
#: Ways to end a run.
ENDS = ("nemu_trap", "sifive_test", "htif")

#: CLINT register offsets (SiFive CLINT): msip of hart h at 4h, mtimecmp at 0x4000 + 8h, mtime.
CLINT_MSIP = 0x0
CLINT_MTIMECMP = 0x4000
CLINT_MTIME = 0xBFF8
#: How long a hart waits for the other harts, in ticks of mtime: 54 s at 10 MHz, more than 128 harts of QEMU need.
PATIENCE = 1 << 29
#: XiangShan's SYSCNT: mtime is written here, then 1 to the update register, which clears itself.
SYSCNT_MTIME = 0xBFF8
SYSCNT_UPDATE = 0xC010


class Uart(NamedTuple):
    """A console.

    Attributes:
        kind: One of UART_KINDS.
        address: Physical address; 0 for HTIF, which has none.
        shift: Left shift of register numbers, in bits.
    """

    kind: str
    address: int
    shift: int = 0

    def __str__(self) -> str:
        return f"{self.kind}@{self.address:#x}" + (f",{self.shift}" if self.shift else "")


class Device(NamedTuple):
    """A device whose registers the extended state of a checkpoint may write.

    Attributes:
        name: Its kind.
        address: Physical address of its first register.
        size: Bytes of its registers.
    """

    name: str
    address: int
    size: int

    def has(self, address: int, size: int) -> bool:
        """Whether the device has all bytes of some registers.

        Args:
            address: Physical address of the first register.
            size: Bytes of all.

        Returns:
            True if they are inside the device.
        """
        return self.address <= address and address + size <= self.address + self.size


#: Bytes of the registers of a console without a shift, by kind.
_UART_SIZES = {"uartlite": 16, "16550": 8}
#: Bytes of a PLIC (RISC-V PLIC specification, "Memory Map"), and of an APLIC's domain with 128 harts (AIA 4.5, 4.8).
_PLIC_SIZE, _APLIC_SIZE = 0x400_0000, 0x8000


class Platform(NamedTuple):
    """A machine that runs restorers.

    Attributes:
        name: The value of ``platform=``.
        what: The machine, in words.
        clint: Address of the CLINT.
        uart: The console.
        end: How a run ends: one of ENDS.
        csr_groups: Groups of the CSR inventory that a restore writes by default.
        dram: Base address of memory.
        dram_size: Largest size of memory in bytes.
        syscnt: Address of XiangShan's SYSCNT; 0 if mtime is in the CLINT.
        finisher: Address of the sifive_test device; 0 if there is none.
        flash: Address of a flash image; 0 if there is no flash.
        vlen: Smallest and largest VLEN of the harts, in bits.
        paging: Modes of satp besides Bare (8 Sv39, 9 Sv48, 10 Sv57).
        pmp_entries: Number of PMP entries of the harts; 64 where they are not known to have fewer.
        zcd: Whether every hart with D has 2-byte loads of doubles, which no hart with Zcmp or Zcmt has.
        controllers: Interrupt controllers and consoles besides ``uart``, for the extended state. The CLINT is not one
            of them: mip.MSIP and the fields of a block hold its registers.
    """

    name: str
    what: str
    clint: int
    uart: Uart
    end: str
    csr_groups: tuple[str, ...] = csrs.SETS[csrs.DEFAULT_SET].groups
    dram: int = 0x8000_0000
    dram_size: int = 0x200_0000_0000
    syscnt: int = 0
    finisher: int = 0
    flash: int = 0
    vlen: tuple[int, int] = (128, 128)
    paging: tuple[int, ...] = (8, 9)
    pmp_entries: int = 64
    zcd: bool = False
    controllers: tuple[Device, ...] = ()

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices whose registers the extended state may write."""
        if self.uart.kind not in _UART_SIZES:
            return self.controllers
        size = _UART_SIZES[self.uart.kind] << self.uart.shift
        return (Device(self.uart.kind, self.uart.address, size), *self.controllers)

    @property
    def has_htif(self) -> bool:
        """Whether restorers use HTIF."""
        return "htif" in (self.uart.kind, self.end)


PLATFORMS: tuple[Platform, ...] = (
    Platform(
        name="xiangshan",
        what="XiangShan RTL, NEMU, the QEMU fork's nemu machine, XS-GEM5",
        clint=0x3800_0000,
        uart=Uart("uartlite", 0x4060_0000),
        end="nemu_trap",
        flash=0x1000_0000,
        zcd=True,
        controllers=(Device("plic", 0x3C00_0000, _PLIC_SIZE), Device("16550", 0x310B_0000, 8 << 2)),
    ),
    Platform(
        name="xiangshan-syscnt",
        what="newer XiangShan SoC: mtime in SYSCNT, resets with NMIs off and MDT set",
        clint=0x3800_0000,
        uart=Uart("uartlite", 0x4060_0000),
        end="nemu_trap",
        syscnt=0x3A01_0000,
        flash=0x1000_0000,
        zcd=True,
        controllers=(Device("plic", 0x3C00_0000, _PLIC_SIZE),),
    ),
    Platform(
        name="kmh-fpga",
        what="XiangShan KMH on FPGA (bosc)",
        clint=0x3800_0000,
        uart=Uart("16550", 0x310B_0000, 2),
        end="nemu_trap",
        flash=0x1000_0000,
        zcd=True,
    ),
    Platform(
        name="southlake",
        what="NEMU southlake",
        clint=0x1F_1000_0000,
        uart=Uart("16550", 0x1F_0005_0000),
        end="nemu_trap",
        dram=0x20_0000_0000,
        flash=0x1F_FFF8_0000,
        zcd=True,
    ),
    Platform(
        name="qemu-virt",
        what="stock QEMU, -machine virt",
        clint=0x200_0000,
        uart=Uart("16550", 0x1000_0000),
        end="sifive_test",
        finisher=0x10_0000,
        flash=0x2000_0000,
        vlen=(128, 1024),
        paging=(8, 9, 10),
        controllers=(Device("plic or aplic", 0xC00_0000, 0x60_0000), Device("aplic", 0xD00_0000, _APLIC_SIZE)),
    ),
    Platform(
        name="spike",
        what="Spike and stock QEMU, -machine spike",
        clint=0x200_0000,
        uart=Uart("htif", 0),
        end="htif",
        vlen=(128, 2048),
        paging=(8, 9, 10),
        controllers=(Device("plic", 0xC00_0000, 0x100_0000), Device("16550", 0x1000_0000, 8)),
    ),
    Platform(
        name="rocket",
        what="Rocket of rocket-chip, chipyard or LiteX, with a simulator that speaks HTIF (fesvr)",
        clint=0x200_0000,
        uart=Uart("htif", 0),
        end="htif",
        dram_size=0x8000_0000,
        paging=(8,),
        pmp_entries=8,
        zcd=True,
        controllers=(Device("plic", 0xC00_0000, _PLIC_SIZE),),
    ),
    Platform(
        name="cva6",
        what="CVA6 (cv64a6), its testharness and FPGA images",
        clint=0x200_0000,
        uart=Uart("16550", 0x1000_0000, 2),
        end="htif",
        dram_size=0x4000_0000,
        paging=(8,),
        pmp_entries=8,
        zcd=True,
        controllers=(Device("plic", 0xC00_0000, _PLIC_SIZE),),
    ),
)

BY_NAME: dict[str, Platform] = {platform.name: platform for platform in PLATFORMS}


def parse_uart(text: str) -> Uart:
    """Parse the value of ``uart=``.

    Args:
        text: ``KIND@ADDR[,SHIFT]`` or ``htif``.

    Returns:
        The console.

    Raises:
        UserError: The text has another form.
    """
    form = f"uart={text}: want KIND@ADDR[,SHIFT], KIND one of {', '.join(UART_KINDS)}, such as 16550@0x310b0000,2"
    kind, at, rest = text.partition("@")
    if kind not in UART_KINDS or bool(at) == (kind == "htif"):
        raise UserError(form + (" (htif has no address)" if kind == "htif" else ""))
    if kind == "htif":
        return Uart("htif", 0)
    address, comma, shift = rest.partition(",")
    try:
        uart = Uart(kind, int(address, 0), int(shift if comma else "0", 0))
    except ValueError:
        raise UserError(form) from None
    if not 0 <= uart.address < 1 << 56 or not 0 <= uart.shift <= 3:
        raise UserError(f"{form}; the address below 2^56, the shift 0 to 3")
    return uart
