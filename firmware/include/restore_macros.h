/*
 * Macros with which restore.S accesses the fields of this hart's block.
 *
 * Direct: the block is at the image's base, so every field has a fixed distance from the code. s1 = address of the pc
 * field + NEAR_PC.
 * Planned: s0 = address of the block, s1 = struct gcpt_plan, which holds the offsets of the fields.
 * Both: CSR_BASE = address of the array entry of CSR number `window` (an assembler symbol).
 */
#ifndef GCPT_RESTORE_MACROS_H
#define GCPT_RESTORE_MACROS_H

#include "gcpt_config.h"

/* The direct restorer has no stack. From sp, 8-byte loads at offsets up to 504 have 2 bytes (c.ldsp). */
#if GCPT_DIRECT
#define CSR_BASE sp
#else
#define CSR_BASE s3
#endif

/* The register that holds hvip until put_held writes it. */
#if GCPT_DIRECT
#define HVIP s2
#else
#define HVIP s10
#endif

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

/* With s1 = pc field + NEAR_PC, the fields from magic_number on and, by one addi, the integer registers are in reach. */
#define NEAR_PC (2048 - 8)

/* load_field reg, field: reg = the 8 bytes of the field. */
    .macro load_field reg, field
#if GCPT_DIRECT
    ld      \reg, \field - LAYOUT_pc - NEAR_PC(s1)
#else
    ld      \reg, \field(s1)
    add     \reg, \reg, s0
    ld      \reg, (\reg)
#endif
    .endm

/* csr_window number: set CSR_BASE; loads then reach the CSRs number - 256 to number + 255. Planned: clobbers t0. */
    .macro csr_window number
    field_address CSR_BASE, FIELD(csr_reg), 8 * (\number)
    .set    window, \number
    .endm

/* move_csr_window number: the same from a window less than 2 KiB away. */
    .macro move_csr_window number
    addi    CSR_BASE, CSR_BASE, 8 * ((\number) - window)
    .set    window, \number
    .endm

    .macro load_csr reg, number
    ld      \reg, 8 * ((\number) - window)(CSR_BASE)
    .endm

/* load_far_csr reg, number: load_csr of any CSR, by way of the window. */
    .macro load_far_csr reg, number
    lui     \reg, %hi(8 * ((\number) - window))
    add     \reg, \reg, CSR_BASE
    ld      \reg, %lo(8 * ((\number) - window))(\reg)
    .endm

/*
 * Guards: go on at `label` if the hart lacks what the CSRs before it need. Registers: see the table in restore.S.
 * only_with_zicfiss clobbers a0.
 */
    .macro only_with_h label
    bgez    a7, \label
    .endm

/* With H, go on in subsection 1, which the following code is in: harts without H do not fetch it. */
    .macro apart_with_h
    bltz    a7, vs_csrs
    .subsection 1
vs_csrs:
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

    .macro only_with_smstateen label
    beqz    t3, \label
    .endm

    .macro only_with_pmp label
    bgtz    s7, \label
    .endm

/* load_csr_alone reg, number: load_csr of any CSR, independent of the window. Planned: clobbers t0. */
    .macro load_csr_alone reg, number
#if GCPT_DIRECT
    ld      \reg, gcpt_base + LAYOUT_csr_reg + 8 * (\number)
#else
    field_address \reg, FIELD(csr_reg), 8 * (\number)
    ld      \reg, (\reg)
#endif
    .endm

/*
 * load_csr reg, number: reg = the checkpoint's value of the CSR, which must be in the window.
 * put_csr number: write the CSR. merge_csr number: set the CSR's bits that are 1 in the checkpoint.
 * put_loaded reg, number: write the CSR from reg, which load_csr loaded.
 * put_csr_alone number: put_csr, independent of the window.
 * hold_hvip number: HVIP = the value of hvip, which put_held writes later.
 * put_csr, put_csr_alone and merge_csr leave the value in a0.
 */
    .macro put_csr number
    load_csr a0, \number
    csrw    \number, a0
    .endm

    .macro put_loaded reg, number
    csrw    \number, \reg
    .endm

    .macro put_csr_alone number
    load_csr_alone a0, \number
    csrw    \number, a0
    .endm

    .macro hold_hvip number
    load_csr HVIP, \number
    .endm

    .macro put_held number
    csrw    \number, HVIP
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
 * probe number, label: go on at `label` if the hart lacks the CSR: the trap ends in absent_groups (render.py). Clobbers
 * a0, a2.
 * put_probed number, label, flag: the same by put_csr, which saves an instruction if the hart has the CSR and costs one
 * if not. If it has, flag is not 0 afterwards. Clobbers a2.
 */
    .macro probe number, label
    addi    a2, s5, absent_\label
    csrw    mtvec, a2
    csrr    a0, \number
    csrw    mtvec, s5
    .endm

    .macro put_probed number, label, flag=a2
    load_csr a0, \number
    addi    \flag, s5, absent_\label
    csrw    mtvec, \flag
    csrw    \number, a0
    csrw    mtvec, s5
    .endm

/*
 * put_envcfg menvcfg, senvcfg, label: write both, with t5 = the bits of menvcfg that the hart has; without menvcfg, go on
 * at `label` with t5 = 0. Clobbers a0, a2.
 */
    .macro put_envcfg menvcfg, senvcfg, label
    addi    a2, s5, absent_\label
    csrw    mtvec, a2
    li      a0, -1
    csrw    \menvcfg, a0
    csrw    mtvec, s5
    load_csr a0, \menvcfg
    csrrw   t5, \menvcfg, a0
    load_csr_alone a0, \senvcfg
    csrw    \senvcfg, a0
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
    li      a1, 0                   /* keeps this value on a hart without H */
    csrr    a1, CSR_HENVCFG
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
    field_address a2, FIELD(csr_reg), 8 * CSR_HVIP
    ld      a2, (a2)
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
