"""A checkpoint in the shape of Dromajo's: a boot ROM, from an assembler, and the files beside it."""

import subprocess
from pathlib import Path

from gcpt.checkpoint.state import HartState
from gcpt.machines import synthetic
from gcpt.machines.synthetic import DRAM, Mode, Recipe
from gcpt.restorer.options import CROSS_COMPILE

_MEMORY_SIZE, _CLINT = 8 << 20, 0x200_0000
#: The CSRs that the boot ROM writes with all bits, and those of which it has 12.
_WIDE = (0x301, *range(0x323, 0x340), 0x7A0, 0x302, 0x303, 0x304, 0x305, 0x105, *range(0x3B0, 0x3C0), 0x3A0, 0x3A2)
_WIDE += (0x340, 0x341, 0x342, 0x343, 0x140, 0x141, 0x142, 0x143, 0x344)
_NARROW = (0x001, 0x002, 0x003, 0x320, 0x306, 0x106)


def _rom(state: HartState, mstatus: int, folder: Path) -> bytes:
    """The boot ROM of a running hart."""
    code, data = ["csrr a0, mhartid", "beqz a0, 1f", "wfi", "j . - 4", "1:"], [".org 0xb00"]

    def load(register: str, value: int) -> None:
        pointer = "ra" if register.startswith("f") else register
        label = f"d{len(data)}"
        code.append(f"9: auipc {pointer}, %pcrel_hi({label})")
        code.append(f"addi {pointer}, {pointer}, %pcrel_lo(9b)")
        code.append(f"{'fld' if register.startswith('f') else 'ld'} {register}, 0({pointer})")
        data.append(f"{label}: .dword {value:#x}")

    def write(number: int, value: int) -> None:
        load("ra", value)
        code.append(f"csrw {number:#x}, ra")

    def store(address: int, value: int) -> None:
        load("ra", address)
        load("sp", value)
        code.append("sd sp, 0(ra)")

    write(0x7B1, state.pc)
    code.extend([f"li ra, {0x600 | state.mode}", "csrw 0x7b0, ra"])
    write(0x300, mstatus)
    for number in _NARROW:
        bits = state.csr[number] & 0xFFF
        code.extend([f"addi ra, x0, {(bits ^ 0x800) - 0x800}", f"csrw {number:#x}, ra"])
    for at, value in enumerate(state.f):
        load(f"f{at}", value)
    for number in _WIDE:
        write(number, state.csr[number])
    for at in range(3, 32):
        load(f"x{at}", state.x[at])
    store(_CLINT + 0x4000, state.mtimecmp)
    write(0xB00, state.get("mcycle"))
    store(_CLINT + 0xBFF8, state.mtime)
    load("x1", state.x[1])
    load("x2", state.x[2])
    code.append("csrw 0x7b2, ra")
    write(0x180, state.get("satp"))
    code.extend(["csrr ra, 0x7b2", "dret"])
    (folder / "rom.S").write_text(".option norvc\n.option norelax\n" + "\n".join([*code, *data, ".org 0x2000"]) + "\n")
    link = ("-nostdlib", "-march=rv64g", "-mabi=lp64d", "-Wl,-Ttext=0x10000", "-Wl,--build-id=none")
    for command in (("gcc", *link, "-o", "rom.elf", "rom.S"), ("objcopy", "-Obinary", "rom.elf", "rom.bin")):
        subprocess.run([f"{CROSS_COMPILE}{command[0]}", *command[1:]], cwd=folder, check=True, stderr=subprocess.PIPE)
    return (folder / "rom.bin").read_bytes()


def make(folder: Path) -> tuple[dict[str, bytes], HartState]:
    """The files of a checkpoint by their endings, and the state of the hart before its mret is prepared.

    The boot ROM is built in ``folder``.
    """
    checkpoint = synthetic.make(Recipe((Mode.S,), vector=False, hypervisor=False, vs=0, locks=False))
    (state,) = checkpoint.harts
    dromajos = {*_WIDE, *_NARROW, 0x180, 0x300, 0xB00}
    state.csr = [value if number in dromajos else 0 for number, value in enumerate(state.csr)]
    state.set("mcounteren", 0xFFFF_FFFF)
    state.set("scounteren", 0x1234_5678)
    state.set("mstatus", (state.get("mstatus") | 0x80) & ~0x1808 & ~(1 << 39))
    rom = _rom(state, state.get("mstatus"), folder)
    memory = bytearray(_MEMORY_SIZE)
    for address, data in checkpoint.memory:
        memory[address - DRAM : address - DRAM + len(data)] = data
    text = f"# DROMAJO serialization file\npc:{state.pc:#x}\nmcounteren:{0xFFFF_FFFF}\n"
    text += f"mcountinhibit:{state.get('mcountinhibit')}\nscounteren:12345678\nmrange0:0x80000000 0x800000 ram\n"
    devices = b'{ "plic": { "plic_pending_irq": 0x0 } }'
    return {".mainram": bytes(memory), ".bootram": rom, ".re_regs": text.encode(), ".dev": devices}, state
