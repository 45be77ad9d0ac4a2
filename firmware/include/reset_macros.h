/* The first instructions of every hart, and device access, for both kinds of restorer. */
#ifndef GCPT_RESET_MACROS_H
#define GCPT_RESET_MACROS_H

#include "gcpt_config.h"

/*
 * reset_hart: enable traps, set mtvec and s5 to gcpt_trap, and branch to cut_short if the image is truncated. Clobbers
 * a2, a3.
 */
    .macro reset_hart
    lla     s5, gcpt_trap
    csrw    mtvec, s5
#if GCPT_RESET_RNMI
    .global gcpt_set_nmie
gcpt_set_nmie:
    csrsi   CSR_MNSTATUS, 8         /* NMIE: while it is 0, traps are lost. Skipped on a hart without Smrnmi */
#endif
#if GCPT_RESET_DBLTRP
    li      a2, 1                   /* two instructions of 2 bytes: shorter than li */
    slli    a2, a2, 42              /* MDT: while it is 1, any trap is a double trap */
    csrc    mstatus, a2
#endif
    ld      a2, gcpt_complete_flag
    li      a3, GCPT_COMPLETE_FLAG
    bne     a2, a3, cut_short
    .endm

/* store_double reg, address, scratch: store reg at a constant address; two instructions if it is below 2 GiB. */
    .macro store_double reg, address, scratch
    .if (\address) < 0x7ffff000
    lui     \scratch, %hi(\address)
    sd      \reg, %lo(\address)(\scratch)
    .else
    li      \scratch, \address
    sd      \reg, (\scratch)
    .endif
    .endm

/* write_mtime: write a0 to mtime. Clobbers a1, a2. */
    .macro write_mtime
#if GCPT_SYSCNT
    li      a1, GCPT_SYSCNT
    li      a2, GCPT_SYSCNT_MTIME
    add     a1, a1, a2
    sd      a0, (a1)
    li      a2, 1
    sw      a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
1:  lw      a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
    bnez    a2, 1b                  /* the hardware clears it when mtime has the value */
#else
    store_double a0, GCPT_CLINT + GCPT_CLINT_MTIME, a1
#endif
    .endm

#endif
