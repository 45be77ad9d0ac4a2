/*
 * How restore.S reaches a checkpoint's fields.
 *
 * Direct: the block lies at the image's own base, so every field has a fixed distance from the code.
 * Planned: s0 = address of this hart's block, s1 = struct gcpt_plan, which holds the fields' offsets.
 * Both: CSR_BASE = address of CSR number `window` in the block, s1 = address of the pc field + NEAR_PC (direct).
 */
#ifndef GCPT_RESTORE_MACROS_H
#define GCPT_RESTORE_MACROS_H

#include "gcpt_config.h"

/* Where there is no stack, sp serves: loads of 8 bytes at up to 504 bytes from it are 2 bytes long. */
#if GCPT_DIRECT
#define CSR_BASE sp
#else
#define CSR_BASE s3
#endif

/* FIELD(name): what the macros below know a field by: its offset in the block, or where the plan has that. */
#if GCPT_DIRECT
#define FIELD(name) LAYOUT_##name
#else
#define FIELD(name) PLAN_##name
#endif

/* field_address reg, field, bias: reg = address of the field + bias bytes. Planned: clobbers t0. */
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

/* s1 is NEAR_PC after the pc field: the fields next to that and, with an addi, the integer registers are in its reach. */
#define NEAR_PC 2048

/* load_field reg, field: reg = the field's 8 bytes. */
    .macro load_field reg, field
#if GCPT_DIRECT
    ld      \reg, \field - LAYOUT_pc - NEAR_PC(s1)
#else
    ld      \reg, \field(s1)
    add     \reg, \reg, s0
    ld      \reg, (\reg)
#endif
    .endm

/* csr_window number: from here on CSR_BASE reaches the CSRs number - 256 to number + 255. */
    .macro csr_window number
    field_address CSR_BASE, FIELD(csr_reg), 8 * (\number)
    .set    window, \number
    .endm

    .macro load_csr reg, number
    ld      \reg, 8 * ((\number) - window)(CSR_BASE)
    .endm

/*
 * put_csr, merge_csr: write the CSR from the checkpoint, or set the bits that the checkpoint has. put_csr_alone: from its fixed
 * address (direct), wherever the window is. Clobber a0.
 */
    .macro put_csr number
    load_csr a0, \number
    csrw    \number, a0
    .endm

    .macro put_csr_alone number
    ld      a0, gcpt_base + LAYOUT_csr_reg + 8 * (\number)
    csrw    \number, a0
    .endm

    .macro merge_csr number
    load_csr a0, \number
    csrs    \number, a0
    .endm

/*
 * put_vstimecmp: where henvcfg.STCE is 0 nobody looks at the value, but a 0 that is written makes QEMU 7.2 raise VSTIP, and
 * mip cannot be told otherwise while menvcfg.STCE is 1. Clobbers a0, a1.
 */
    .macro put_vstimecmp number
    load_csr a0, \number
    bnez    a0, 1f
    li      a1, 0                   /* stays on a hart without H */
    csrr    a1, CSR_HENVCFG
    bgez    a1, 2f                  /* STCE is the sign */
1:  csrw    \number, a0
2:
    .endm

/* put_pmpcfg: writes two of them, once it is known that their locks leave the restorer alone. Clobbers a0-a3. */
    .macro put_pmpcfg first, second
    load_csr a0, \first
    load_csr a2, \second
    or      a1, a0, a2
    and     a1, a1, s7
    beqz    a1, 1f
    jal     look_at_locks
    load_csr a0, \first
    load_csr a2, \second
1:  csrw    \first, a0
    csrw    \second, a2
    .endm

/*
 * check_csr: reports the CSR if it does not read as the checkpoint has it. check_mip: as mip and hvip together have it, in
 * whichever of them the generator saved hvip's bits. check_merged: if it lacks bits that the checkpoint has. Keep s
 * registers only.
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

    .macro expect number            /* a1 = what it should read as */
    mv      a2, a1                  /* stays if the hart lacks the CSR */
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
