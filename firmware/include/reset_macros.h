/* What every hart does first, whatever the kind of restorer. */
#ifndef GCPT_RESET_MACROS_H
#define GCPT_RESET_MACROS_H

/* reset_hart: make traps possible, catch them, and check that the whole image is there. Clobbers t0, t1. */
    .macro reset_hart
#if GCPT_RESET_RNMI
    csrsi   CSR_MNSTATUS, 8         /* NMIE: until then any trap is lost */
#endif
#if GCPT_RESET_DBLTRP
    li      t0, 1 << 42             /* MDT: until then any trap is a double one */
    csrc    mstatus, t0
#endif
    lla     t0, gcpt_trap
    csrw    mtvec, t0
    lla     t0, gcpt_complete_flag
    ld      t0, (t0)
    li      t1, GCPT_COMPLETE_FLAG
    bne     t0, t1, cut_short
    .endm

/* store_double reg, address, scratch: to a fixed address, in two instructions where it is below 2 GiB. */
    .macro store_double reg, address, scratch
    .if (\address) < 0x7ffff000
    lui     \scratch, %hi(\address)
    sd      \reg, %lo(\address)(\scratch)
    .else
    li      \scratch, \address
    sd      \reg, (\scratch)
    .endif
    .endm

/* write_mtime: t0 = time. Clobbers t1, t2. */
    .macro write_mtime
#if GCPT_SYSCNT
    li      t1, GCPT_SYSCNT
    li      t2, GCPT_SYSCNT_MTIME
    add     t1, t1, t2
    sd      t0, (t1)
    li      t2, 1
    sw      t2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(t1)
1:  lw      t2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(t1)
    bnez    t2, 1b                  /* clears itself when mtime has the value */
#else
    store_double t0, GCPT_CLINT + GCPT_CLINT_MTIME, t1
#endif
    .endm

#endif
