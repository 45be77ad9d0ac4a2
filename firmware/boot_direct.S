/*
 * Boot of the direct restorer: one hart, its block at a fixed distance from the image, nothing to print. It uses no
 * stack and no C, and writes no memory.
 *
 * Entry: a1 = device tree. Falls through into gcpt_restore, which the linker script places next, with s5 = gcpt_trap.
 * a1 stays intact up to the jump to the payload. Clobbers a0, a2, a3.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"

    .section .text.boot, "ax", %progbits
    .option norelax                 /* alignment is final */
/* Every hart detects these errors; only hart 0 reports them. */
cut_short:
    li      a0, GCPT_CODE_CUT_SHORT
    j       1f
no_checkpoint:
#if GCPT_PAYLOAD
#if !GCPT_PAYLOAD_IN_IMAGE
    li      a2, GCPT_PAYLOAD_POSITION
    lw      a2, (a2)
    beqz    a2, nothing_there       /* an all-zero word is no instruction */
#endif
    j       gcpt_boot_payload
nothing_there:
#endif
    li      a0, GCPT_CODE_NO_CHECKPOINT
1:  csrr    a2, mhartid
    bnez    a2, park
    j       gcpt_fail
park:
    j       gcpt_park

    enable_traps
    .global gcpt_boot
    .balign 4
    .option norvc                   /* the end is aligned like the beginning of restore.S */
gcpt_boot:
    reset_hart
    ld      a2, gcpt_base + LAYOUT_magic_number
    ld      a3, TRAP_CHECKPOINT_MAGIC(s5)
    bne     a2, a3, no_checkpoint
#if GCPT_STOP
    j       park
#else
    csrr    s9, mhartid             /* 0 from here on: no register was skipped yet */
    bnez    s9, park
#endif
    .global gcpt_boot_end
gcpt_boot_end:
