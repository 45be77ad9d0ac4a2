/*
 * How restore.S reaches a checkpoint's fields.
 *
 * Direct: the block lies at the image's own base, so every field has a fixed distance from the code.
 * Planned: s0 = address of this hart's block, s1 = struct gcpt_plan, which holds the fields' offsets.
 * Both: CSR_BASE = address of CSR number `window` in the block, s5 = address of the pc field (direct).
 */
#ifndef GCPT_RESTORE_MACROS_H
#define GCPT_RESTORE_MACROS_H

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

/* load_field reg, field: reg = the field's 8 bytes. */
    .macro load_field reg, field
#if GCPT_DIRECT
    ld      \reg, \field - LAYOUT_pc(s5)
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

/* put_csr, merge_csr: write the CSR from the checkpoint, or set the bits that the checkpoint has. Clobber t0. */
    .macro put_csr number
    load_csr t0, \number
    csrw    \number, t0
    .endm

    .macro merge_csr number
    load_csr t0, \number
    csrs    \number, t0
    .endm

#endif
