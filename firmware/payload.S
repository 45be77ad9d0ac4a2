/*
 * The next boot stage, for a restorer that finds no checkpoint, and the device tree that goes with it.
 */
#include "gcpt_config.h"

    .section .text.payload, "ax", %progbits
    .option arch, +zifencei
/* gcpt_boot_payload: a1 = the machine's device tree. Jumps with a0 = hart number, a1 = device tree. Does not return. */
    .global gcpt_boot_payload
gcpt_boot_payload:
    csrr    a0, mhartid
#if GCPT_DTB
    lla     a1, gcpt_dtb
#endif
    li      t0, GCPT_PAYLOAD_POSITION
    csrw    mie, zero
    fence.i
    jr      t0

    .section .payload, "ax", %progbits
    .incbin GCPT_PAYLOAD_FILE

#if GCPT_DTB
    .section .rodata.dtb, "a", %progbits
    .balign 8
    .type   gcpt_dtb, @object
gcpt_dtb:
    .incbin GCPT_DTB_FILE
#endif
