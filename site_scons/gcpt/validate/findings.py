"""The table of the findings of ``gcpt validate``. Codes are stable: users search for them."""

from dataclasses import dataclass
from enum import Enum


class Severity(Enum):
    """How serious a finding is.

    Attributes:
        ERROR: The checkpoint does not restore, or cannot execute its next instruction.
        WARNING: It restores, but loses something or is suspicious.
        NOTE: Worth knowing, but not wrong.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


@dataclass(frozen=True)
class FindingKind:
    """A kind of finding.

    Attributes:
        code: Its stable name.
        severity: How serious it is.
        means: What is wrong, in general.
        remedy: How to fix it.
        signal: The name of the restorer's code (``codes``) for the same problem; "" if there is none.
    """

    code: str
    severity: Severity
    means: str
    remedy: str
    signal: str = ""


_COMPARE_PMP = (
    "compare pmpcfg and pmpaddr with what the workload set: the generator may not have saved all of them; "
    "csrs-left-out names those that the restorer does not write"
)

KINDS: tuple[FindingKind, ...] = (
    # The image and its header.
    FindingKind(
        "no-checkpoint",
        _E,
        "there is neither a protobuf header nor the magic number where the restorer looks",
        "check that the file is a checkpoint; give the flash image of a flash pair with --flash; an embedded restorer "
        "looks only where its mode= says",
        "NO_CHECKPOINT",
    ),
    FindingKind(
        "header-undecodable",
        _E,
        "there is a protobuf header, but its bytes cannot be decoded",
        "take the checkpoint again; check whether the workload or a restorer overwrote the header",
        "DECODE",
    ),
    FindingKind(
        "header-version",
        _E,
        "no restorer knows the version of the protobuf header",
        "use a generator of a known version (docs/formats.md)",
        "VERSION",
    ),
    FindingKind(
        "header-value",
        _E,
        "a value in the protobuf header points outside memory, or into the restorer, another block or the header",
        "take the checkpoint again, or fix the header",
        "BAD_HEADER",
    ),
    FindingKind(
        "block-cut",
        _E,
        "the image ends within a hart's block: the missing registers would be read as zeros",
        "copy the image again, or take the checkpoint with memory that holds all blocks",
    ),
    FindingKind(
        "magic-missing",
        _N,
        "a block after a protobuf header has no magic number; one variant of QEMU omits it",
        "nothing, if the registers look right (gcpt info --hart)",
    ),
    FindingKind(
        "more-layouts",
        _N,
        "the image has headers or magic numbers of several layouts, perhaps from an earlier checkpoint",
        "build the restorer with the mode= of the right layout; mode=auto uses the first",
    ),
    FindingKind(
        "generator-unknown",
        _W,
        "nothing says whether NEMU wrote the checkpoint, which moves mstatus.SIE to SPIE: SIE may be lost",
        "build the restorer with generator=nemu if NEMU wrote it, or with generator=qemu",
    ),
    FindingKind(
        "zstd-length",
        _W,
        "NEMU's zstd loader accepts only images whose length is a multiple of 128 KiB",
        "write the container again with gcpt, or use gzip",
    ),
    FindingKind(
        "other-platform",
        _E,
        "the embedded restorer was built for another platform",
        "replace the embedded restorer, or validate for its platform",
    ),
    FindingKind(
        "restorer-cut",
        _E,
        "the embedded restorer does not end with its flag: only a part of it was copied",
        "copy the whole restorer to the start of the image",
        "CUT_SHORT",
    ),
    FindingKind(
        "restorer-over-state",
        _E,
        "the embedded restorer overlaps the state of a hart",
        "use a smaller restorer, or a layout that keeps the state elsewhere",
    ),
    FindingKind(
        "payload-over-state",
        _E,
        "the payload of the embedded restorer begins within the state of a hart",
        "build the restorer with another gcpt_payload_position=, or without a payload",
    ),
    FindingKind(
        "blocks-overlap",
        _E,
        "the vector registers of a hart, whose length is in its block, reach into the next block or the header",
        "take the checkpoint again with blocks that have room for this VLEN",
        "OVERLAP",
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
        "the machine has fewer harts than the checkpoint: its harts wait for the missing ones and then give up",
        "use a machine with as many harts, or list the missing ones in stop_cpu=",
        "HARTS_MISSING",
    ),
    FindingKind(
        "hart-unmarked",
        _E,
        "the checkpoint counts a hart whose block has no magic number: the hart would get arbitrary values",
        "take the checkpoint again; the count is in the header, or else in csr_reserve of hart 0's block",
        "UNMARKED",
    ),
    FindingKind(
        "harts-uncounted",
        _W,
        "more blocks have the magic number than the checkpoint counts harts: the restorer ignores the rest",
        "fix csr_reserve of hart 0's block, unless the other blocks are from an earlier checkpoint",
    ),
    FindingKind(
        "hart-count-2",
        _N,
        "QEMU writes 2 as the number of harts for any number above 1; the restorer counts the blocks",
        "nothing",
    ),
    FindingKind(
        "mtime-differs",
        _N,
        "mtime differs between harts although it is one clock: the restorer writes hart 0's",
        "nothing, if the difference is no longer than taking the checkpoint took",
    ),
    # VLEN, checked before the harts meet.
    FindingKind(
        "vlenb",
        _E,
        "vlenb is not a power of two from 16 to 256: no hart has such vector registers",
        "check that the block has this layout; fix vlenb (CSR 0xC22) in the array: 0 means 128 bits",
        "VLEN",
    ),
    FindingKind(
        "vlen-platform",
        _E,
        "the platform's harts do not have vector registers of this length",
        "restore on a machine with that VLEN",
        "VLEN",
    ),
    # The extended state, which is written before the harts meet.
    FindingKind(
        "extended-damaged",
        _E,
        "a hart's extended state is not a list that this version knows",
        "take the checkpoint again with a generator that writes this list (docs/extended.md)",
        "EXTENDED",
    ),
    FindingKind(
        "extended-device",
        _E,
        "the extended state writes to an address that is no register of a device of the platform",
        "validate and restore for the platform on which the checkpoint was taken",
        "EXTENDED",
    ),
    FindingKind(
        "extended-left-out",
        _W,
        "the checkpoint has an extended state, which the restorer does not write: devices stay as after reset",
        "build the restorer with extended=1, for the platform on which the checkpoint was taken",
    ),
    # How the hart leaves.
    FindingKind(
        "mtvec-in-restorer",
        _E,
        "mtvec is in the reserved MiB: every trap would restart the restore",
        "link the workload's M-mode software to another address",
        "RESTARTS",
    ),
    FindingKind(
        "pc-in-restorer",
        _E,
        "the pc of an M-mode hart is in the reserved MiB",
        "link the workload to another address, or stop it elsewhere",
        "RESTARTS",
    ),
    FindingKind(
        "mode",
        _E,
        "the mode field is not 0 (U), 1 (S) or 3 (M)",
        "take the checkpoint again: its generator did not write the privilege level",
        "BAD_STATE",
    ),
    FindingKind(
        "mpp",
        _E,
        "below M mode an mret resumes the hart in the mode of mstatus.MPP, which is not the checkpoint's mode",
        "take the checkpoint again with a generator that prepares mstatus (docs/formats.md)",
        "BAD_STATE",
    ),
    FindingKind(
        "mprv",
        _E,
        "mstatus.MPRV is set below M mode, which is impossible",
        "take the checkpoint again with a generator that prepares mstatus (docs/formats.md)",
        "BAD_STATE",
    ),
    FindingKind(
        "m-mode-mprv",
        _E,
        "mstatus.MPRV is set in M mode: the registers cannot be loaded through the workload's translation",
        "stop the workload a few instructions earlier or later",
        "M_MODE_MPRV",
    ),
    FindingKind(
        "m-mode-far",
        _W,
        "the pc of an M-mode hart is out of a jump's reach: without Smrnmi, an mret loses mepc, MPP and MPIE",
        "stop the workload elsewhere, or where mepc does not matter; with exact=1 the restorer refuses instead",
        "M_MODE_LOSS",
    ),
    FindingKind(
        "m-mode-far-exact",
        _E,
        "as m-mode-far, for a restorer built with exact=1",
        "stop the workload elsewhere, or build the restorer without exact=1",
        "M_MODE_JUMP",
    ),
    FindingKind(
        "mepc",
        _W,
        "mepc is not the pc below M mode: the generator did not prepare it, so the restorer writes the pc to it",
        "check that the pc is where the workload should be",
    ),
    FindingKind(
        "no-hypervisor",
        _E,
        "mstatus.MPV or hgatp shows a guest, and the restorer does not write the hypervisor's CSRs",
        "build the restorer without csrs=-h, and restore on a machine whose harts have H",
        "NO_HYPERVISOR",
    ),
    # PMP.
    FindingKind(
        "mseccfg",
        _E,
        "mseccfg.MML or MMWP is set: the restorer cannot execute its last instructions",
        "take the checkpoint again on harts without Smepmp, or under firmware that does not set them",
        "PMP",
    ),
    FindingKind(
        "mseccfg-left-out",
        _E,
        "mseccfg.MML or MMWP is set, which no restorer can restore: PMP rules would have another meaning",
        "take the checkpoint again on harts without Smepmp, or under firmware that does not set them",
    ),
    FindingKind(
        "trigger",
        _E,
        "tdata1 enables a trigger in M mode, which could stop the restorer",
        "build the restorer without csrs=+sdtrig",
        "TRIGGER",
    ),
    FindingKind(
        "pmp-locked",
        _E,
        "a locked PMP entry forbids M mode to read or execute the reserved MiB or the hart's block",
        "take the checkpoint before the workload locks PMP",
        "PMP",
    ),
    FindingKind(
        "pmp-pc",
        _E,
        "PMP forbids the fetch at the pc: the first instruction traps",
        _COMPARE_PMP,
    ),
    FindingKind(
        "pmp-root",
        _E,
        "PMP forbids reading the root of the page tables: the first fetch traps",
        _COMPARE_PMP,
    ),
    FindingKind(
        "pmp-table",
        _E,
        "PMP forbids reading a page table on the way to the pc: the first fetch traps",
        _COMPARE_PMP,
    ),
    FindingKind(
        "pmp-stack",
        _N,
        "PMP forbids writing at the stack pointer (x2), or reading a page table on the way to it",
        "nothing, if the workload does not use x2 as a stack pointer",
    ),
    FindingKind(
        "pmp-platform",
        _E,
        "a PMP entry is on that the platform's harts do not have: what it allows traps, and what it forbids is allowed",
        "restore on harts with as many entries, or take the checkpoint with fewer in use",
    ),
    FindingKind(
        "pmp-off",
        _E,
        "no PMP entry is on among those that the restorer writes: below M mode a hart with PMP executes nothing",
        "if later entries are on, csrs-left-out names them; if the checkpoint was taken on harts without PMP, restore "
        "it on such harts, with csrs=-pmp16",
    ),
    FindingKind(
        "pmp-off-left-out",
        _W,
        "as pmp-off, for a restorer that does not write PMP",
        "restore on harts without PMP",
    ),
    # Pointers.
    FindingKind(
        "pc-outside",
        _E,
        "the pc is a physical address outside the image's memory",
        "check that the image is complete and for this platform",
    ),
    FindingKind(
        "pc-overwritten",
        _E,
        "the pc is in the restorer or in a hart's state: the workload's code there is overwritten",
        "link the workload to another address (docs/formats.md lists the reserved memory)",
    ),
    FindingKind(
        "pc-empty",
        _E,
        "the image holds zeros at the pc: an illegal instruction",
        "check that the memory image belongs to this state",
    ),
    FindingKind(
        "translation-mode",
        _E,
        "satp, vsatp or hgatp has a mode that does not exist: harts ignore such a write",
        "take the checkpoint again",
    ),
    FindingKind(
        "translation-platform",
        _E,
        "satp, vsatp or hgatp has a mode that the platform's harts do not have: they ignore such a write",
        "restore on a machine that has it, or boot the workload with another mode (Linux: no5lvl, no4lvl)",
    ),
    FindingKind(
        "root-outside",
        _E,
        "the root of the page tables in use is outside the image's memory",
        "check that the image is complete and for this platform",
    ),
    FindingKind(
        "root-overwritten",
        _E,
        "the root of the page tables in use is in the restorer or in a hart's state",
        "keep the workload out of the reserved memory (docs/formats.md)",
    ),
    FindingKind(
        "root-empty",
        _E,
        "the image holds only zeros in the root of the page tables in use: no fetch is translated",
        "check that the memory image belongs to this state",
    ),
    FindingKind(
        "pc-unmapped",
        _E,
        "the page tables do not map the pc to a page that the hart's mode may execute: the next instruction traps",
        "check that the memory image belongs to this state, and that nothing overwrote the page tables",
    ),
    FindingKind(
        "pc-absent",
        _W,
        "the fetch at the pc may fault, and the operating system or hypervisor may map its page then: the page is not "
        "there yet (in U mode or for a guest), or its A bit is clear",
        "nothing, if the workload's software or the machine (Svadu) handles it",
    ),
    FindingKind(
        "table-outside",
        _E,
        "the page tables of the pc lead outside the image's memory",
        "check that the image is complete and for this platform",
    ),
    FindingKind(
        "table-overwritten",
        _E,
        "a page table of the pc is in the restorer or in a hart's state",
        "keep the workload out of the reserved memory (docs/formats.md)",
    ),
    FindingKind(
        "stack-unmapped",
        _N,
        "the page tables do not map the stack pointer (x2) to a page that the hart's mode may write",
        "nothing, if the workload does not use x2 as a stack pointer",
    ),
    FindingKind(
        "pointer-outside",
        _W,
        "mtvec, or the root of page tables not in use at the pc, is outside the image's memory",
        "nothing, if the workload never uses it",
    ),
    # CSRs.
    FindingKind(
        "csrs-left-out",
        _W,
        "the checkpoint uses CSRs in groups that the restorer does not write, and software needs them",
        "build the restorer with the csrs= that is named (docs/csrs.md), if the machine has these CSRs",
    ),
    FindingKind(
        "csrs-left-out-minor",
        _N,
        "as csrs-left-out, for groups that count, tune or debug: software computes the same without them",
        "to write them, build the restorer with the csrs= that is named (docs/csrs.md)",
    ),
    FindingKind(
        "csrs-unknown",
        _N,
        "CSRs that are not in the inventory are not zero: no restorer writes them",
        "add them to site_scons/gcpt/isa/csrs.py, if the workload depends on them",
    ),
    FindingKind(
        "vectors-4-only",
        _W,
        "v4 to v31 are zero, v0 to v3 are not, and mstatus.VS is Dirty: one variant of QEMU saves only four",
        "take the checkpoint again with a generator that saves all vector registers",
    ),
    # Timers.
    FindingKind(
        "mtimecmp-due",
        _N,
        "mtimecmp is not later than mtime: MTIP is pending from the first instruction",
        "nothing; if mie.MTIE is set, the hart takes the interrupt at once",
    ),
    FindingKind(
        "stimecmp-due",
        _N,
        "stimecmp is not later than mtime and menvcfg.STCE is set: STIP is pending from the first instruction",
        "nothing; if mie.STIE is set, the hart takes the interrupt at once",
    ),
    FindingKind(
        "vstimecmp-due",
        _N,
        "vstimecmp is not later than the guest's time, menvcfg.STCE and henvcfg.STCE are set: VSTIP is pending",
        "nothing; if the guest enables it, it takes the interrupt at once",
    ),
    FindingKind(
        "stie-clear",
        _N,
        "stimecmp is set but mie.STIE is clear; QEMU's generator clears it if there is one hart",
        "if the workload's clock stands still, set STIE in mie (CSR 0x304)",
    ),
)

BY_CODE: dict[str, FindingKind] = {kind.code: kind for kind in KINDS}
