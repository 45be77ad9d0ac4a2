/* What every hart does first, whatever the kind of restorer. */
#ifndef GCPT_RESET_MACROS_H
#define GCPT_RESET_MACROS_H

#include "gcpt_config.h"

/* reset_hart: make traps possible, catch them, and check that the whole image is there. s5 = gcpt_trap. Clobbers a2, a3. */
    .macro reset_hart
    lla     s5, gcpt_trap
    csrw    mtvec, s5
#if GCPT_RESET_RNMI
    .global gcpt_set_nmie
gcpt_set_nmie:
    csrsi   CSR_MNSTATUS, 8         /* NMIE: until then any trap is lost. Stepped over on a hart without Smrnmi */
#endif
#if GCPT_RESET_DBLTRP
    li      a2, 1                   /* these two are 2 bytes long, unlike those of li */
    slli    a2, a2, 42              /* MDT: until then any trap is a double one */
    csrc    mstatus, a2
#endif
    ld      a2, gcpt_complete_flag
    li      a3, GCPT_COMPLETE_FLAG
    bne     a2, a3, cut_short
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

/* write_mtime: a0 = time. Clobbers a1, a2. */
    .macro write_mtime
#if GCPT_SYSCNT
    li      a1, GCPT_SYSCNT
    li      a2, GCPT_SYSCNT_MTIME
    add     a1, a1, a2
    sd      a0, (a1)
    li      a2, 1
    sw      a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
1:  lw      a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
    bnez    a2, 1b                  /* clears itself when mtime has the value */
#else
    store_double a0, GCPT_CLINT + GCPT_CLINT_MTIME, a1
#endif
    .endm

#endif
