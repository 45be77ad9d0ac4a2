"""Where a checkpoint keeps its state: offsets of the fields in a hart's block, and where the blocks are.

Source of the numbers: docs/formats.md. All fields are little endian, 8 bytes unless a size is given.
"""

from dataclasses import dataclass, fields

MIB = 1 << 20

#: Where a checkpoint can have its state, as commands name it; ``places.PLACES`` says where that is (flash: of a pair).
LAYOUTS = ("single_core", "dual_core", "protobuf", "nemu", "flash")

CHECKPOINT_MAGIC = 0xBEEF
HEADER_MAGIC = 0xDEADBEEF
HEADER_VERSIONS = (0x20240125, 0x20240205)
COMPLETE_FLAG = 0xCAFF

#: Bytes of one hart's block where no header says otherwise.
BLOCK_SIZE = MIB
#: The first part of memory that a workload leaves free for the restorer.
RESERVED_SIZE = MIB
#: The most harts that a restorer serves.
MAX_HARTS = 128
#: Data base of a multi-hart checkpoint, relative to the base of memory.
MULTI_CORE_OFFSET = 0x30_0000
#: Data base of NEMU's protobuf checkpoints, relative to the image (the sizes of the header's two C structs).
NEMU_PROTOBUF_OFFSET = 168
#: A window in the head of a restorer that reads headers, for one that the restorer would overwrite: offset and bytes.
HEADER_WINDOW, HEADER_WINDOW_SIZE = 8, 256
#: Where the next boot stage lies, relative to the base of memory.
PAYLOAD_OFFSET = 0x10_0000

#: The most that a protobuf header may hold as an offset or a block size, in bytes.
LARGEST_OFFSET = 1 << 30

CSR_COUNT = 4096
#: The longest VLEN that the vector window holds, in bits.
MAX_VLEN = 2048
#: VLEN where the generator did not write vlenb (NEMU), in bits.
DEFAULT_VLEN = 128
VECTOR_WINDOW = 32 * MAX_VLEN // 8

#: Fields of a block that no restore reads. A header may leave them out: their offset is 0 then.
FREE_FIELDS = (
    *("misc_done", "misc_reserve", "int_reg_done", "float_reg_done", "csr_reg_done", "csr_reserve", "vector_reg_done"),
)
#: Bytes of the fields that are not of 8 bytes. A reserve has at most as many: it ends where the next field begins.
_SIZES = {"int_reg": 32 * 8, "float_reg": 32 * 8, "csr_reg": 8 * CSR_COUNT, "vector_reg": VECTOR_WINDOW}
_RESERVES = {"misc_reserve": 4096, "csr_reserve": 8 * CSR_COUNT}


@dataclass(frozen=True)
class Layout:
    """Byte offsets of the fields in a hart's block; the names are those of the protobuf message, less ``_cpt_addr``."""

    magic_number: int
    pc: int
    mode: int
    mtime: int
    mtime_cmp: int
    misc_done: int
    misc_reserve: int
    int_reg: int
    int_reg_done: int
    float_reg: int
    float_reg_done: int
    csr_reg: int
    csr_reg_done: int
    csr_reserve: int
    vector_reg: int
    vector_reg_done: int

    def csr(self, number: int) -> int:
        """Offset of CSR ``number`` in the block."""
        return self.csr_reg + 8 * number

    def items(self) -> dict[str, int]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def extents(self, hart: int = 0) -> dict[str, tuple[int, int]]:
        """Where each field that there is begins and ends in the block of ``hart``."""
        begins = self.items()
        found = {}
        for name, begin in begins.items():
            if begin or name not in FREE_FIELDS:
                end = begin + _SIZES.get(name, _RESERVES.get(name, 8))
                if name in _RESERVES:
                    end = min([end, *(other for other in begins.values() if other > begin)])
                found[name] = (begin, end)
        slot = self.mtime_cmp + 8 * hart
        return {**found, "mtime_cmp": (slot, slot + 8)}

    def restored(self, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> dict[str, int]:
        """The fields of a block that a restore of ``harts`` harts reads or writes, with their bytes."""
        sizes = dict.fromkeys(("pc", "mode", "mtime", "misc_reserve"), 8)
        sizes |= {"mtime_cmp": 8 * harts, **_SIZES, "vector_reg": 32 * vlenb}
        if not self.misc_reserve:
            del sizes["misc_reserve"]
        return sizes

    def span(self, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> tuple[int, int]:
        """The first byte of a block that a restore of ``harts`` harts needs, and the first after the last one."""
        sizes, offsets = self.restored(harts, vlenb), self.items()
        return min(offsets[name] for name in sizes), max(offsets[name] + size for name, size in sizes.items())


#: The protobuf message's name of each field of a Layout.
MESSAGE_FIELDS: dict[str, str] = {
    field.name: field.name
    + ("" if field.name in ("misc_reserve", "csr_reserve") or field.name.endswith("reg_done") else "_cpt_addr")
    for field in fields(Layout)
}


DEFAULT = Layout(
    magic_number=0xECDB0,
    pc=0xECDB8,
    mode=0xECDC0,
    mtime=0xECDC8,
    mtime_cmp=0xECDD0,
    misc_done=0xECDD8,
    misc_reserve=0xECDE0,
    int_reg=0xEDDE0,
    int_reg_done=0xEDEE0,
    float_reg=0xEDEE8,
    float_reg_done=0xEDFE8,
    csr_reg=0xEDFF0,
    csr_reg_done=0xF5FF0,
    csr_reserve=0xF5FF8,
    vector_reg=0xFDFF8,
    vector_reg_done=0xFFFF8,
)

MULTI_CORE = Layout(
    magic_number=0x0,
    pc=0x8,
    mode=0x10,
    mtime=0x18,
    mtime_cmp=0x20,
    misc_done=0x28,
    misc_reserve=0x30,
    int_reg=0x1000,
    int_reg_done=0x1128,
    float_reg=0x1130,
    float_reg_done=0x1230,
    csr_reg=0x1238,
    csr_reg_done=0x9238,
    csr_reserve=0x9240,
    vector_reg=0x11240,
    vector_reg_done=0x13240,
)
