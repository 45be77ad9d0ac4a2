"""The one table of what ``gcpt validate`` finds in a checkpoint. The codes are stable: people search for them."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """ERROR: it does not restore, or cannot execute its next instruction. WARNING: it restores, but loses something or
    is suspicious. NOTE: worth knowing, and nothing wrong.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding. signal: the name of the restorer's code (``codes``) that says the same; "" where none does."""

    code: str
    severity: Severity
    means: str
    remedy: str
    signal: str = ""


KINDS: tuple[FindingKind, ...] = (
    # The image and what it says of itself.
    FindingKind(
        "no-checkpoint",
        _E,
        "where the restorer looks there is neither a protobuf header nor the magic number",
        "is it a checkpoint? The state of a flash pair is in its flash image: --flash. Into an image that carries a "
        "restorer that one's mode= looks",
        "NO_CHECKPOINT",
    ),
    FindingKind(
        "header-undecodable",
        _E,
        "a protobuf header is there, and its bytes are no messages of this format",
        "take the checkpoint again; was the header overwritten by the workload or a restorer?",
        "DECODE",
    ),
    FindingKind(
        "header-version",
        _E,
        "the protobuf header has a version that no restorer knows",
        "use a generator of a known version (docs/formats.md)",
        "VERSION",
    ),
    FindingKind(
        "header-value",
        _E,
        "a value in the protobuf header leads out of memory, into the restorer or into another block",
        "take the checkpoint again, or correct the header",
        "BAD_HEADER",
    ),
    FindingKind(
        "block-cut",
        _E,
        "the image ends before a hart's block does: its registers would be read as zeros",
        "copy the image again, or take the checkpoint with memory that holds all blocks",
    ),
    FindingKind(
        "magic-missing",
        _N,
        "a block behind a protobuf header has no magic number; one variant of QEMU leaves it out",
        "nothing, if the registers look right (gcpt info --hart)",
    ),
    FindingKind(
        "more-layouts",
        _N,
        "the image has marks of more than one layout, perhaps left by an earlier checkpoint",
        "build the restorer with the mode= of the right one; mode=auto takes the first",
    ),
    FindingKind(
        "zstd-length",
        _W,
        "NEMU's zstd loader takes only images whose length is a multiple of 128 KiB",
        "write the container again with gcpt, or use gzip",
    ),
    FindingKind(
        "other-platform",
        _E,
        "the restorer that the image carries was built for another platform",
        "change the restorer in the image, or validate for its platform",
    ),
    FindingKind(
        "restorer-cut",
        _E,
        "the image starts with a restorer whose last bytes are not the flag that it looks for: only a part was copied",
        "put a whole restorer over the start of the image",
        "CUT_SHORT",
    ),
    FindingKind(
        "restorer-over-state",
        _E,
        "the restorer that the image carries reaches into the state of a hart",
        "take a smaller restorer, or a layout whose state lies elsewhere",
    ),
    FindingKind(
        "payload-over-state",
        _E,
        "the payload of the restorer that the image carries begins within the state of a hart",
        "build the restorer with another gcpt_payload_position=, or without a payload",
    ),
    # Harts.
    FindingKind(
        "too-many-harts",
        _E,
        "the checkpoint has more harts than the restorer serves",
        "build the restorer with a larger harts=",
        "HARTS",
    ),
    FindingKind(
        "harts-missing",
        _E,
        "the machine has fewer harts than the checkpoint: those that are there wait for the others, and then give up",
        "give the machine as many, or name those that it lacks in stop_cpu=",
        "HARTS_MISSING",
    ),
    FindingKind(
        "hart-unmarked",
        _E,
        "the checkpoint counts a hart whose block has no magic number: it would be given whatever lies there",
        "take the checkpoint again; the count is in csr_reserve of hart 0's block",
    ),
    FindingKind(
        "harts-uncounted",
        _W,
        "more blocks are marked than the checkpoint counts harts: the restorer leaves them out",
        "correct csr_reserve of hart 0's block, unless the others are left from an earlier checkpoint",
    ),
    FindingKind(
        "hart-count-2",
        _N,
        "QEMU writes 2 as the number of harts whenever there are several; the restorer counts the blocks",
        "nothing",
    ),
    FindingKind(
        "mtime-differs",
        _N,
        "the harts have different values of mtime, which is one clock: hart 0's is written",
        "nothing, if the difference is as short as taking the checkpoint was",
    ),
    # VLEN, before the meeting.
    FindingKind(
        "vlenb",
        _E,
        "vlenb is no power of two from 16 to 256: no hart has such vector registers",
        "is it a block of this layout? Correct vlenb (CSR 0xC22) in the array; 0 stands for 128 bits",
        "VLEN",
    ),
    FindingKind(
        "vlen-platform",
        _E,
        "the vector registers are of a length that the platform's harts do not have",
        "restore on a machine with that VLEN",
        "VLEN",
    ),
    # How the hart leaves.
    FindingKind(
        "mtvec-in-restorer",
        _E,
        "mtvec is in the MiB that belongs to the restorer: each trap would begin the restore again",
        "link the workload's M-mode software to another place",
        "RESTARTS",
    ),
    FindingKind(
        "pc-in-restorer",
        _E,
        "the pc of an M-mode hart is in the MiB that belongs to the restorer",
        "link the workload to another place, or stop it elsewhere",
        "RESTARTS",
    ),
    FindingKind(
        "mode",
        _E,
        "the mode field is none of 0 (U), 1 (S) and 3 (M)",
        "take the checkpoint again: its generator wrote no privilege level",
        "BAD_STATE",
    ),
    FindingKind(
        "mpp",
        _E,
        "below M mode an mret resumes the hart in the mode of mstatus.MPP, and that is not the checkpoint's",
        "take the checkpoint again with a generator that prepares mstatus (docs/formats.md)",
        "BAD_STATE",
    ),
    FindingKind(
        "mprv",
        _E,
        "mstatus.MPRV is set below M mode, where it cannot be",
        "take the checkpoint again with a generator that prepares mstatus (docs/formats.md)",
        "BAD_STATE",
    ),
    FindingKind(
        "m-mode-mprv",
        _E,
        "an M-mode hart with mstatus.MPRV set: its registers cannot be loaded through the workload's translation",
        "stop the workload some instructions earlier or later",
        "M_MODE_MPRV",
    ),
    FindingKind(
        "m-mode-far",
        _W,
        "the pc of an M-mode hart is out of a jump's reach: it goes on by mret, which loses mepc, MPP and MPIE",
        "stop the workload elsewhere, or where mepc does not matter; exact=1 refuses it instead",
        "M_MODE_LOSS",
    ),
    FindingKind(
        "m-mode-far-exact",
        _E,
        "as m-mode-far, with a restorer that was built with exact=1",
        "stop the workload elsewhere, or build the restorer without exact=1",
        "M_MODE_JUMP",
    ),
    FindingKind(
        "mepc",
        _W,
        "mepc is not the pc below M mode: the generator did not prepare it, and the restorer writes the pc there",
        "compare the pc with where the workload should be",
    ),
    # PMP.
    FindingKind(
        "mseccfg",
        _E,
        "mseccfg.MML or MMWP is set: the restorer could not execute its last instructions",
        "build the restorer without csrs=+smepmp",
        "PMP",
    ),
    FindingKind(
        "trigger",
        _E,
        "tdata1 arms a trigger that counts in M mode, where it could stop the restorer",
        "build the restorer without csrs=+sdtrig",
        "TRIGGER",
    ),
    FindingKind(
        "pmp-locked",
        _E,
        "a locked PMP entry forbids M mode to read or execute the restorer's memory or the hart's block",
        "take the checkpoint before the workload locks PMP",
        "PMP",
    ),
    FindingKind(
        "pmp-pc",
        _E,
        "PMP forbids the fetch at the pc: the first instruction traps",
        "compare pmpcfg and pmpaddr with what the workload set; did the generator save them all?",
    ),
    FindingKind(
        "pmp-root",
        _E,
        "PMP forbids reading the root of the page tables: the first fetch traps",
        "compare pmpcfg and pmpaddr with what the workload set; did the generator save them all?",
    ),
    FindingKind(
        "pmp-off",
        _W,
        "no PMP entry is on: below M mode, a hart that has PMP (XiangShan, QEMU, Spike) executes nothing",
        "was the checkpoint taken on a machine without PMP? Restore on such a one",
    ),
    # Pointers.
    FindingKind(
        "pc-outside",
        _E,
        "the pc is a physical address outside the image's memory",
        "is the image whole, and of this platform?",
    ),
    FindingKind(
        "pc-overwritten",
        _E,
        "the pc is where the restorer or a hart's state lies: what the workload had there is gone",
        "link the workload to another place (docs/formats.md says what is reserved)",
    ),
    FindingKind(
        "pc-empty",
        _E,
        "the image holds zeros at the pc, which is an illegal instruction",
        "is this the memory image that belongs to the state?",
    ),
    FindingKind(
        "translation-mode",
        _E,
        "satp, vsatp or hgatp asks for a translation that does not exist: a hart ignores such a write",
        "take the checkpoint again",
    ),
    FindingKind(
        "translation-platform",
        _E,
        "satp, vsatp or hgatp asks for a translation that the platform's harts do not have: they ignore such a write",
        "restore on a machine that has it, or boot the workload with another (Linux: no5lvl, no4lvl)",
    ),
    FindingKind(
        "root-outside",
        _E,
        "the root of the page tables in use is outside the image's memory",
        "is the image whole, and of this platform?",
    ),
    FindingKind(
        "root-overwritten",
        _E,
        "the root of the page tables in use is where the restorer or a hart's state lies",
        "keep the workload's memory out of what is reserved (docs/formats.md)",
    ),
    FindingKind(
        "root-empty",
        _E,
        "the image holds nothing but zeros in the root of the page tables in use: no fetch is translated",
        "is this the memory image that belongs to the state?",
    ),
    FindingKind(
        "pointer-outside",
        _W,
        "mtvec, or the root of page tables that are not in use at the pc, is outside the image's memory",
        "nothing, if the workload never uses it",
    ),
    # CSRs.
    FindingKind(
        "csrs-left-out",
        _W,
        "CSRs that the checkpoint holds are in groups that the restorer does not write",
        "build the restorer with csrs=+GROUP (docs/csrs.md), if the machine has them",
    ),
    FindingKind(
        "csrs-left-out-minor",
        _N,
        "as csrs-left-out, of groups that count, tune or debug: software computes the same without them",
        "csrs=+GROUP writes them (docs/csrs.md)",
    ),
    FindingKind(
        "csrs-unknown",
        _N,
        "CSRs are not zero that the inventory does not have, so that no restorer writes them",
        "add them to site_scons/gcpt/isa/csrs.py, if the workload depends on them",
    ),
    FindingKind(
        "vectors-4-only",
        _W,
        "v4 to v31 are zero while v0 to v3 are not and mstatus.VS is Dirty: one variant of QEMU saves only four",
        "take the checkpoint with a generator that saves all vector registers",
    ),
    # Timers.
    FindingKind(
        "mtimecmp-due",
        _N,
        "mtimecmp is not after mtime: MTIP is pending from the first instruction on",
        "nothing; where mie.MTIE is set, the hart takes that interrupt at once",
    ),
    FindingKind(
        "stimecmp-due",
        _N,
        "stimecmp is not after mtime and menvcfg.STCE is set: STIP is pending from the first instruction on",
        "nothing; where mie.STIE is set, the hart takes that interrupt at once",
    ),
    FindingKind(
        "vstimecmp-due",
        _N,
        "vstimecmp is not after the guest's time and menvcfg.STCE and henvcfg.STCE are set: VSTIP is pending",
        "nothing; where the guest has it enabled, it takes that interrupt at once",
    ),
    FindingKind(
        "stie-clear",
        _N,
        "stimecmp is armed and mie.STIE is clear; QEMU's generator clears it when there is one hart",
        "if the workload's clock stands still, set STIE in mie (CSR 0x304)",
    ),
)

BY_CODE: dict[str, FindingKind] = {kind.code: kind for kind in KINDS}
