/*
 * One hart, its state at a fixed distance from the image, nothing to print: no stack, no C, no write to memory.
 * a1 at reset = device tree, kept for the payload. Falls through into gcpt_restore, which the linker script puts next.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"

    .section .text.boot, "ax", %progbits
/* What all harts see alike, hart 0 says. */
cut_short:
    li      a0, GCPT_CODE_CUT_SHORT
    j       1f
no_checkpoint:
#if GCPT_PAYLOAD
    j       gcpt_boot_payload
#endif
    li      a0, GCPT_CODE_NO_CHECKPOINT
1:  csrr    a2, mhartid
    bnez    a2, park
    j       gcpt_fail
park:
    j       gcpt_park

    .global gcpt_boot
gcpt_boot:
    reset_hart
    ld      a2, gcpt_base + LAYOUT_magic_number
    li      a3, GCPT_CHECKPOINT_MAGIC
    bne     a2, a3, no_checkpoint
#if GCPT_STOP
    j       park
#else
    csrr    a2, mhartid
    bnez    a2, park
#endif
    .global gcpt_boot_end
gcpt_boot_end:
