/* The first instructions of every hart, and device access, for both kinds of restorer. */
#ifndef GCPT_RESET_MACROS_H
#define GCPT_RESET_MACROS_H

#include "gcpt_config.h"

/* LEAVING: restore.S explains it. In the direct restorer, which has no C, nothing else clobbers a t register. */
#if GCPT_DIRECT
#define LEAVING t2
#else
#define LEAVING s8
#endif

/*
 * enable_traps: a subroutine of reset_hart. While mstatus.MDT is 1, any trap is a double trap; while mnstatus.NMIE is 0,
 * a trap is lost. So nothing before this can trap, and here only the write of mnstatus on a hart without Smrnmi: mtvec =
 * t0, so that the trap returns, too. It sets MDT again on a hart with Smdbltrp.
 * s5 = gcpt_trap.
 */
    .macro enable_traps
enable_traps:
    csrw    mtvec, t0
    addi    s5, t0, %lo(gcpt_trap_distance)
    ld      s11, TRAP_UNITS_ON(s5)
    csrw    mstatus, s11
#if GCPT_GUARDED && GCPT_CSRS_SMRNMI
    li      s6, 0
#endif
    csrsi   CSR_MNSTATUS, 8         /* NMIE */
#if GCPT_GUARDED && GCPT_CSRS_SMRNMI
    jalr    s6, t0                  /* any value but 0 */
#else
    jr      t0
#endif
    .endm

/*
 * reset_hart: enable traps, and branch to cut_short if the image is truncated.
 *
 * Results: s5 = gcpt_trap; mtvec = s5 (direct) or gcpt_trap_fatal (planned); s11 = MSTATUS_FS | MSTATUS_VS; mstatus = s11,
 * so that MIE, which earlier code may have set, and MDT are clear; LEAVING = mstatus as the hart holds s11; with guards,
 * s6 = 0 without Smrnmi, else not 0. Clobbers a2, a3, t0.
 */
    .macro reset_hart
    .option push
    .option norvc
    jal     t0, enable_traps        /* the first 4 bytes from gcpt_boot on: t0 is aligned */
    .option pop
    csrrw   LEAVING, mstatus, s11
#if GCPT_DIRECT
    csrw    mtvec, s5
#else
    lla     a2, gcpt_trap_fatal     /* C code uses no instruction that a hart may lack */
    csrw    mtvec, a2
#endif
#if GCPT_FLAG_NEAR
    ld      a2, %lo(gcpt_flag_distance)(s5)
#else
    ld      a2, gcpt_complete_flag
#endif
    ld      a3, TRAP_COMPLETE_FLAG(s5)
    bne     a2, a3, cut_short
    .endm

/*
 * store_device instruction, reg, place: write a device register after all earlier stores to memory.
 * load_device instruction, reg, place: read a device register before all later loads from memory.
 * The direct restorer shares no memory with anyone, and needs no order.
 */
    .macro store_device instruction, reg, place
#if !GCPT_DIRECT
    fence   w, o
#endif
    \instruction \reg, \place
    .endm

    .macro load_device instruction, reg, place
    \instruction \reg, \place
#if !GCPT_DIRECT
    fence   i, r
#endif
    .endm

/* store_double reg, address, scratch: store reg at a constant address; two instructions if it is below 2 GiB. */
    .macro store_double reg, address, scratch
    .if (\address) < 0x7ffff000
    lui     \scratch, %hi(\address)
    .if (\address) & 0xfff
    store_device sd, \reg, %lo(\address)(\scratch)
    .else
    store_device sd, \reg, (\scratch)
    .endif
    .else
    li      \scratch, \address
    store_device sd, \reg, (\scratch)
    .endif
    .endm

/* write_mtime: write a0 to mtime. Clobbers a1, a2. */
    .macro write_mtime
#if GCPT_SYSCNT
    li      a1, GCPT_SYSCNT
    li      a2, GCPT_SYSCNT_MTIME
    add     a1, a1, a2
    store_device sd, a0, (a1)
    li      a2, 1
    store_device sw, a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
1:  load_device lw, a2, GCPT_SYSCNT_UPDATE - GCPT_SYSCNT_MTIME(a1)
    bnez    a2, 1b                  /* the hardware clears it when mtime has the value */
#else
    store_double a0, GCPT_CLINT + GCPT_CLINT_MTIME, a1
#endif
    .endm

#endif
