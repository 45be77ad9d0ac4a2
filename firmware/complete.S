/* The last 8 bytes of the image: the restorer's first act is to check that they are there. */
#include "gcpt_config.h"

#if GCPT_DATA
    .section .complete.data, "aw", %progbits
#else
    .section .complete.text, "a", %progbits
#endif
    .balign 8
    .global gcpt_complete_flag
gcpt_complete_flag:
    .dword GCPT_COMPLETE_FLAG

#if GCPT_UART_HTIF || GCPT_END_HTIF
/* Spike and QEMU find these two by name in the ELF file. */
    .section .data.htif, "aw", %progbits
    .balign 64
    .global tohost, fromhost
tohost:     .dword 0
    .balign 64
fromhost:   .dword 0
#endif
