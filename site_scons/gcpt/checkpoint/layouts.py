"""Constants of the checkpoint format: offsets of the fields in a hart's block, offsets of blocks, sizes and limits.

The source of the numbers is docs/formats.md. All fields are little endian, 8 bytes unless a size is given.
"""

from dataclasses import dataclass, fields

MIB = 1 << 20

#: The layouts by the names that commands use. ``places.PLACES`` has their places; "flash" is a pair of images.
LAYOUTS = ("single_core", "dual_core", "protobuf", "nemu", "flash")

CHECKPOINT_MAGIC = 0xBEEF
HEADER_MAGIC = 0xDEADBEEF
HEADER_VERSIONS = (0x20240125, 0x20240205)
COMPLETE_FLAG = 0xCAFF

#: Bytes from one hart's block to the next without a header.
BLOCK_SIZE = MIB
#: Bytes at the start of memory that the workload leaves to the restorer.
RESERVED_SIZE = MIB
#: The most harts that a restorer can restore.
MAX_HARTS = 128
#: Image offset of the blocks of a dual_core checkpoint, and of QEMU's protobuf header.
MULTI_CORE_OFFSET = 0x30_0000
#: Bytes from a protobuf header to the blocks, in NEMU and QEMU (the sizes of the header's two C structs).
NEMU_PROTOBUF_OFFSET = 168
#: The header window in a restorer that reads headers: ``gcpt pack`` moves a header there that the restorer would
#: overwrite. Offset in the restorer, and bytes.
HEADER_WINDOW, HEADER_WINDOW_SIZE = 8, 256
#: Image offset of the payload.
PAYLOAD_OFFSET = 0x10_0000

#: The largest offset or block size in a protobuf header, in bytes.
LARGEST_OFFSET = 1 << 30

#: CSRs in a block, indexed by their 12-bit number.
CSR_COUNT = 4096
#: The largest VLEN for which a block has room, in bits.
MAX_VLEN = 2048
#: VLEN of a checkpoint whose vlenb is 0 (NEMU), in bits.
DEFAULT_VLEN = 128
#: Bytes for the 32 vector registers in a block.
VECTOR_WINDOW = 32 * MAX_VLEN // 8

#: The extended state of a hart in misc_reserve: offset and most bytes. The restorer's note and the mtimecmp of 128
#: harts (index h of its field) are before it, and each layout has room for so many bytes.
EXTENDED_OFFSET, EXTENDED_SIZE = 0x400, 0xBD0

#: Fields of a block that no restore reads, except for the extended state in misc_reserve. A header may omit them: their
#: offset is then 0.
FREE_FIELDS = (
    *("misc_done", "misc_reserve", "int_reg_done", "float_reg_done", "csr_reg_done", "csr_reserve", "vector_reg_done"),
)
#: Bytes of the fields that are larger than 8 bytes. For a reserve this is the maximum: it ends where the next field
#: begins.
_SIZES = {"int_reg": 32 * 8, "float_reg": 32 * 8, "csr_reg": 8 * CSR_COUNT, "vector_reg": VECTOR_WINDOW}
_RESERVES = {"misc_reserve": 4096, "csr_reserve": 8 * CSR_COUNT}


@dataclass(frozen=True)
class Layout:
    """Byte offsets of the fields in a hart's block, named as in the protobuf message without ``_cpt_addr``."""

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
        """Compute the offset of a CSR in the block.

        Args:
            number: 12-bit CSR address.

        Returns:
            The offset in bytes.
        """
        return self.csr_reg + 8 * number

    @property
    def has_mark(self) -> bool:
        """Whether a block has the magic number, right before the pc, which a header may omit."""
        return self.magic_number + 8 == self.pc

    def items(self) -> dict[str, int]:
        """The offsets by field name, in bytes."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def extents(self, hart: int = 0) -> dict[str, tuple[int, int]]:
        """Compute where the fields of a block begin and end.

        Args:
            hart: The hart: its mtimecmp is at index ``hart`` of the field mtime_cmp.

        Returns:
            Offsets of the first byte and after the last byte, by field name, without omitted fields.
        """
        begins = self.items()
        extents = {}
        for name, begin in begins.items():
            if begin or name not in FREE_FIELDS:
                end = begin + _SIZES.get(name, _RESERVES.get(name, 8))
                if name in _RESERVES:
                    end = min([end, *(other for other in begins.values() if other > begin)])
                extents[name] = (begin, end)
        slot = self.mtime_cmp + 8 * hart
        return {**extents, "mtime_cmp": (slot, slot + 8)}

    def restored(self, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> dict[str, int]:
        """List the fields of a block that a restore reads or writes.

        Args:
            harts: Number of harts in the checkpoint.
            vlenb: Bytes of a vector register.

        Returns:
            Sizes in bytes, by field name.
        """
        names = ["pc", "mode", "mtime", *(name for name in ("misc_reserve", "csr_reserve") if getattr(self, name))]
        names += ["magic_number"] if self.has_mark else []
        return {**dict.fromkeys(names, 8), "mtime_cmp": 8 * harts, **_SIZES, "vector_reg": 32 * vlenb}

    def span(self, harts: int, vlenb: int = DEFAULT_VLEN // 8) -> tuple[int, int]:
        """Compute the part of a block that a restore reads or writes.

        Args:
            harts: Number of harts in the checkpoint.
            vlenb: Bytes of a vector register.

        Returns:
            The offsets in the block of the first byte and of the byte after the last.
        """
        sizes, offsets = self.restored(harts, vlenb), self.items()
        return min(offsets[name] for name in sizes), max(offsets[name] + size for name, size in sizes.items())


#: Field names in the protobuf message, by field names of Layout.
MESSAGE_FIELDS: dict[str, str] = {
    field.name: field.name
    + ("" if field.name in ("misc_reserve", "csr_reserve") or field.name.endswith("reg_done") else "_cpt_addr")
    for field in fields(Layout)
}


#: The layout of a block without a header, and of NEMU's protobuf checkpoints.
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

#: The layout of a block in QEMU's protobuf checkpoints.
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
