"""The table of signal codes, with which a restorer ends a run that it cannot restore.

Codes 1 to 7 have the same meaning as in earlier restorers of this lineage; 0x100 and up belong to the simulators.
"""

from typing import NamedTuple


class Code(NamedTuple):
    """A signal code. ``short`` and ``sentence`` are compiled into the firmware.

    Attributes:
        number: The value that the restorer passes to the finisher.
        name: The name in C.
        short: The words of the error line.
        sentence: The explanation that log=info adds to the line.
        group: The CSR group without which a restorer never ends with this code; "" for no such group.
        option: The option that must be on for a restorer to end with this code; "" for no such option.
    """

    number: int
    name: str
    short: str
    sentence: str
    group: str = ""
    option: str = ""


CODES: tuple[Code, ...] = (
    Code(1, "FLAG", "bad done flag", "a flag inside the checkpoint is not what its generator writes"),
    Code(
        2,
        "CUT_SHORT",
        "image cut short",
        "the loader copied only part of the restorer: load the bytes that its size word (offset 4) says",
    ),
    Code(3, "VERSION", "header version", "the protobuf header has a version that this restorer does not know"),
    Code(4, "TRAP", "trap", "a trap inside the restorer: mepc, mcause and mtval tell where and why"),
    Code(
        5, "DECODE", "header undecodable", "there is a header, but its bytes are not a protobuf message of this format"
    ),
    Code(6, "UNREACHABLE", "unreachable", "the restorer reached a point that it should not"),
    Code(
        7,
        "M_MODE_JUMP",
        "M-mode jump out of range",
        "the pc of an M-mode checkpoint is more than 1 MiB away from the restorer's trampoline",
    ),
    Code(
        8,
        "NO_CHECKPOINT",
        "no checkpoint",
        "no header, no magic and no payload: is the image that of a checkpoint, and mode= its layout?",
    ),
    Code(
        9,
        "BAD_HEADER",
        "bad header",
        "a value in the protobuf header points outside memory or into the restorer, or a count is out of range",
    ),
    Code(10, "VLEN", "VLEN differs", "the checkpoint uses vector registers of a length that this hart does not have"),
    Code(
        11,
        "HARTS",
        "too many harts",
        "the checkpoint has more harts than this restorer was built for: build it with a larger harts=",
    ),
    Code(
        12,
        "M_MODE_MPRV",
        "M mode with MPRV",
        "an M-mode checkpoint with mstatus.MPRV set: the registers cannot be loaded through its translation",
    ),
    Code(
        13,
        "BAD_STATE",
        "bad mode",
        "mode, mstatus.MPP and MPRV of the checkpoint do not fit together: its generator did not prepare it",
    ),
    Code(
        14,
        "M_MODE_LOSS",
        "pc out of reach, mret loses mepc MPP MPIE",
        "not an end: an M-mode checkpoint whose pc no jump reaches went on by mret; exact=1 refuses it instead",
    ),
    Code(
        15,
        "PMP",
        "PMP locks the restorer out",
        "a locked PMP entry of the checkpoint forbids the restorer its own memory",
    ),
    Code(
        16,
        "NEEDS_RAM",
        "started from flash",
        "this restorer needs memory of its own and was started from flash: build it with flash=1 and ram=ADDR",
    ),
    Code(
        17,
        "RESTARTS",
        "pc or mtvec in the restorer",
        "the checkpoint goes on, or takes its traps, in the MiB that belongs to the restorer, which would start again",
    ),
    Code(
        18,
        "HARTS_MISSING",
        "harts missing",
        "not all harts of the checkpoint arrived: give the machine as many, or name those that it lacks in stop_cpu=",
    ),
    Code(
        19,
        "TRIGGER",
        "trigger in M mode",
        "a trigger of the checkpoint counts in M mode, where it could stop the restorer: build without csrs=+sdtrig",
        "sdtrig",
    ),
    Code(
        20,
        "NO_HYPERVISOR",
        "needs H",
        "mstatus.MPV or hgatp shows a guest: restore on a hart with H whose MPV can be set (not QEMU 10), without "
        "csrs=-h",
    ),
    Code(
        21,
        "UNMARKED",
        "counted hart without a block",
        "the checkpoint counts a hart whose block has no magic number: take the checkpoint again",
    ),
    Code(
        22,
        "EXTENDED",
        "bad extended state",
        "an entry of the list is of no known kind, or its address is of no device of this platform: gcpt validate",
        option="extended",
    ),
    Code(
        23,
        "OVERLAP",
        "vectors overlap",
        "a hart's vector registers, of the length in its block, reach into the next block, the header or the restorer",
        "v",
    ),
)
