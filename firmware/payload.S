/*
 * The payload (the next boot stage), which a restorer boots if it finds no checkpoint, and its device tree. A payload
 * outside the image is in memory already.
 */
#include "gcpt_config.h"

    .section .text.payload, "ax", %progbits
    .option arch, +zifencei
/*
 * gcpt_boot_payload: a1 = the machine's device tree. Jumps to the payload with a0 = hart number, a1 = device tree (that
 * of gcpt_dtb=, if given). fence.i: the payload was written as data.
 */
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

#if GCPT_PAYLOAD_IN_IMAGE
    .section .payload, "ax", %progbits
    .incbin GCPT_PAYLOAD_FILE
#endif

#if GCPT_DTB
    .section .rodata.dtb, "a", %progbits
    .balign 8
    .type   gcpt_dtb, @object
gcpt_dtb:
    .incbin GCPT_DTB_FILE
#endif
