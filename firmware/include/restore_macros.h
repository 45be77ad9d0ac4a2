/*
 * Macros with which restore.S accesses the fields of this hart's block.
 *
 * Direct: the block is at the image's base, so every field has a fixed distance from the code. s1 = address of the first
 * field, magic_number.
 * Planned: s0 = address of the block, s1 = struct gcpt_plan, which holds the offsets of the fields.
 * Both: LOW, MIDDLE and HIGH = addresses of the array entries of the CSRs GCPT_LOW_BASE and so on.
 */
#ifndef GCPT_RESTORE_MACROS_H
#define GCPT_RESTORE_MACROS_H

#include "gcpt_config.h"

/* The direct restorer has no block's address in s0, from which some loads have 2 bytes. C and traps use no gp and tp. */
#if GCPT_DIRECT
#define MIDDLE s0
#else
#define MIDDLE gp
#endif
#define HIGH tp
#define LOW s3

/* FIELD(name), an argument of the macros below: the field's offset in the block, or the offset of that in the plan. */
#if GCPT_DIRECT
#define FIELD(name) LAYOUT_##name
#else
#define FIELD(name) PLAN_##name
#endif

/* field_address reg, field, bias: reg = address of the field + bias bytes. Planned, with a bias: clobbers t0. */
    .macro field_address reg, field, bias=0
#if GCPT_DIRECT
    lla     \reg, gcpt_base + \field + \bias
#else
    ld      \reg, \field(s1)
    add     \reg, \reg, s0
    .if \bias
    li      t0, \bias
    add     \reg, \reg, t0
    .endif
#endif
    .endm

/* load_field reg, field: reg = the 8 bytes of the field; direct: of one up to misc_reserve. */
    .macro load_field reg, field
#if GCPT_DIRECT
    ld      \reg, \field - LAYOUT_magic_number(s1)
#else
    ld      \reg, \field(s1)
    add     \reg, \reg, s0
    ld      \reg, (\reg)
#endif
    .endm

/* Whether sp is a base, too, for 2-byte loads: an instruction for fewer bytes, and for fewer cache lines to fetch. */
#define HAS_LITTLE_ROOM (GCPT_ZCD || !GCPT_GUARDED || GCPT_PMP_ENTRIES == 64)
#define PMP_IN_SP (GCPT_DIRECT && GCPT_CSRS_PMP16 && HAS_LITTLE_ROOM && !GCPT_WITHOUT_C)
#define FLOAT_IN_SP (GCPT_DIRECT && GCPT_ZCD)

/* csr_bases: set LOW, MIDDLE and HIGH; where it is a base, sp = address of pmpaddr0. Clobbers t0. */
    .macro csr_bases
#if GCPT_DIRECT
    lla     LOW, gcpt_base + LAYOUT_csr_reg + 8 * GCPT_LOW_BASE
    lla     MIDDLE, gcpt_base + LAYOUT_csr_reg + 8 * GCPT_MIDDLE_BASE
    lla     HIGH, gcpt_base + LAYOUT_csr_reg + 8 * GCPT_HIGH_BASE
#else
    ld      LOW, FIELD(csr_reg)(s1)
    add     LOW, LOW, s0
    addi    LOW, LOW, 8 * GCPT_LOW_BASE
    li      t0, 8 * (GCPT_MIDDLE_BASE - GCPT_LOW_BASE)
    add     MIDDLE, LOW, t0
    li      t0, 8 * (GCPT_HIGH_BASE - GCPT_MIDDLE_BASE)
    add     HIGH, MIDDLE, t0
#endif
#if PMP_IN_SP
    addi    sp, MIDDLE, 8 * (CSR_PMPADDR0 - GCPT_MIDDLE_BASE)
#endif
    .endm

/* float_base: where it is a base, sp = address of f0, from which user CSRs are in reach, too. */
    .macro float_base
#if FLOAT_IN_SP
    addi    sp, LOW, LAYOUT_float_reg - LAYOUT_csr_reg - 8 * GCPT_LOW_BASE
#endif
    .endm

/* load_csr reg, number: reg = the checkpoint's value of the CSR: of pmpaddr before, of a user CSR after float_base. */
    .macro load_csr reg, number
#if PMP_IN_SP
    .if (\number) >= CSR_PMPADDR0 && (\number) < CSR_PMPADDR0 + 64
    ld      \reg, 8 * ((\number) - CSR_PMPADDR0)(sp)
    .exitm
    .endif
#endif
#if FLOAT_IN_SP
    .if (\number) < 0x20
    ld      \reg, 8 * (\number) + LAYOUT_csr_reg - LAYOUT_float_reg(sp)
    .exitm
    .endif
#endif
    .if (\number) >= GCPT_LOW_BASE - 256 && (\number) < GCPT_LOW_BASE + 256
    ld      \reg, 8 * ((\number) - GCPT_LOW_BASE)(LOW)
    .elseif (\number) >= GCPT_MIDDLE_BASE - 256 && (\number) < GCPT_MIDDLE_BASE + 256
    ld      \reg, 8 * ((\number) - GCPT_MIDDLE_BASE)(MIDDLE)
    .elseif (\number) >= GCPT_HIGH_BASE - 256 && (\number) < GCPT_HIGH_BASE + 256
    ld      \reg, 8 * ((\number) - GCPT_HIGH_BASE)(HIGH)
    .else
    lui     \reg, %hi(8 * ((\number) - GCPT_HIGH_BASE))
    add     \reg, \reg, HIGH
    ld      \reg, %lo(8 * ((\number) - GCPT_HIGH_BASE))(\reg)
    .endif
    .endm

/*
 * load_far reg, number: the same for a CSR that no base register reaches, after far_base of a near one. Clobber nothing
 * else; far_base: a2 = the base register of load_far, from HIGH.
 */
    .macro far_base number
    lui     a2, %hi(8 * ((\number) - GCPT_HIGH_BASE))
    add     a2, a2, HIGH
    .endm

    .macro load_far reg, number
    ld      \reg, %lo(8 * ((\number) - GCPT_HIGH_BASE))(a2)
    .endm

/*
 * Guards: go on at `label` if the hart lacks what the CSRs before it need. Registers: see the table in restore.S.
 * only_with_zicfiss clobbers a0.
 */
    .macro only_with_h label
    bgez    a7, \label
    .endm

    .macro only_with_s label
    bgez    t6, \label
    .endm

/* The first guard: a0 = misa. no_s in restore.S goes on at `label`, or here if misa is 0. */
    .macro only_with_misa_s label
    .set    without_s, \label
    bgez    t6, no_s
with_s:
    .endm

/* Sstc: menvcfg.STCE can be set. Zicfiss: menvcfg.SSE can be set. */
    .macro only_with_sstc label
    bgez    t5, \label
    .endm

    .macro only_with_zicfiss label
    slli    a0, t5, 63 - 3
    bgez    a0, \label
    .endm

    .macro only_with_smrnmi label
    beqz    s6, \label
    .endm

    .macro only_with_pmp label
    bgtz    s7, \label
    .endm

/*
 * put_csr number: write the CSR. merge_csr number: set the CSR's bits that are 1 in the checkpoint.
 * put_loaded reg, number: write the CSR from reg, which load_csr loaded.
 * put_csr and merge_csr leave the value in a0.
 */
    .macro put_csr number
    load_csr a0, \number
    csrw    \number, a0
    .endm

    .macro put_loaded reg, number
    csrw    \number, \reg
    .endm

    .macro merge_csr number
    load_csr a0, \number
    csrs    \number, a0
    .endm

/*
 * put_mip: write mip. Its MSIP is read-only: restore it through msip in the CLINT. Clobbers a0, a1; planned: a2.
 */
    .macro put_mip number
    load_csr a0, \number
    csrw    \number, a0
    srli    a0, a0, 3               /* an msip has one bit: it ignores the others */
#if GCPT_DIRECT
    li      a1, GCPT_CLINT
    store_device sw, a0, GCPT_CLINT_MSIP(a1)
#else
    li      a1, GCPT_CLINT + GCPT_CLINT_MSIP
    slli    a2, s2, 2
    add     a1, a1, a2
    store_device sw, a0, (a1)
#endif
    .endm

/*
 * put_probed number, label: put_csr; go on at `label` if the hart lacks the CSR: gcpt_probe_trap ends in absent_groups
 * (render.py). PROBED = where it does, until the next probe. gcpt_probe_trap is in mtvec from begin_probes, which is just
 * before the first probe, to end_probes. begin_probes clobbers a0.
 */
    .macro begin_probes
    addi    a0, s5, probe_trap_distance
    csrw    mtvec, a0
    .endm

    .macro end_probes
    csrw    mtvec, s5
    .endm

#define PROBED ra                   /* x1: with Zicfilp, no landing pad is needed where it points */
    .macro put_probed number, label
    load_csr a0, \number
    addi    PROBED, s5, absent_\label
probe_\label:
    csrw    \number, a0
    .endm

/*
 * put_envcfg menvcfg, senvcfg, label: write both, with t5 = the bits of menvcfg that the hart has; without menvcfg, go on
 * at `label` with t5 = 0. Clobbers a0.
 */
    .macro put_envcfg menvcfg, senvcfg, label
    li      a0, -1
    addi    PROBED, s5, absent_\label
probe_\label:
    csrw    \menvcfg, a0
    load_csr a0, \menvcfg
    csrrw   t5, \menvcfg, a0
    put_csr \senvcfg
    .endm

/*
 * only_first probe: a4 = mepc. Go on if the probe's instruction trapped; else gcpt_trap skips the one that did. The
 * macro is in norvc code and has 4 instructions. Clobbers a5.
 */
    .macro only_first probe
    lla     a5, \probe
    bne     a4, a5, gcpt_trap
    csrw    mstatus, s11            /* clears MDT, as mret would */
    .endm

/*
 * put_selected number: write the window of indirect access (mireg, ...) that follows the write of its selector from a0.
 * Selector 0 selects nothing, and access would trap.
 */
    .macro put_selected number
    beqz    a0, 1f
    put_csr \number
1:
    .endm

/*
 * put_vstimecmp: write vstimecmp, except 0 while henvcfg.STCE is 0. The value has no effect then, but writing 0 makes
 * QEMU 7.2 raise VSTIP, and a write of mip cannot clear VSTIP while menvcfg.STCE is 1. QEMU 10 raises it when htimedelta
 * is written, and only a later time takes it back: the last one. Clobbers a0, a1.
 */
    .macro put_vstimecmp number
    load_csr a0, \number
    bnez    a0, 1f
    csrr    a1, CSR_HENVCFG         /* without H, any value: there is no vstimecmp either */
    bltz    a1, 1f                  /* STCE is the sign */
    csrr    a1, CSR_MIP
    andi    a1, a1, MIP_VSTIP
    beqz    a1, 2f
    li      a0, -1
1:  csrw    \number, a0
2:
    .endm

/*
 * put_pmpcfg: write two pmpcfg CSRs. If one has a lock bit set and s7 still holds the lock bits, look_at_locks first
 * checks all entries. Clobbers a0-a3 and, through look_at_locks, ra, a4, a5, t0, t1, t3-t5, s7.
 */
    .macro put_pmpcfg first, second
    load_csr a0, \first
    load_csr a2, \second
    or      a1, a0, a2
    and     a1, a1, s7
    .if \first == CSR_PMPCFG0
    bnez    a1, locked_entries
    .subsection 1                   /* a core fetches the target of a jal early */
locked_entries:
    .else
    beqz    a1, 1f
    .endif
    jal     look_at_locks
    load_csr a0, \first
    load_csr a2, \second
    .if \first == CSR_PMPCFG0
    j       1f
    .subsection 0
    .endif
1:  csrw    \first, a0
    csrw    \second, a2
    .endm

/*
 * check_csr number: report the CSR unless it reads as the checkpoint's value.
 * check_mip number: expects the checkpoint's mip | hvip, as generators save hvip's bits in either.
 * check_merged number: report the CSR if it lacks bits that are 1 in the checkpoint.
 * These call C: only the s registers and sp survive.
 */
    .macro check_csr number
    load_csr a1, \number
    expect  \number
    .endm

    .macro check_mip number
    load_csr a1, \number
    load_csr a2, CSR_HVIP
    or      a1, a1, a2
    expect  \number
    .endm

    .macro expect number            /* a1 = expected value */
    mv      a2, a1                  /* keeps this value if the hart lacks the CSR */
    csrr    a2, \number
    beq     a1, a2, 1f
    li      a0, \number
    call    gcpt_report_difference
1:
    .endm

    .macro check_merged number
    load_csr a1, \number
    mv      a2, a1
    csrr    a2, \number
    and     a3, a1, a2
    beq     a1, a3, 1f
    li      a0, \number
    call    gcpt_report_difference
1:
    .endm

#endif
