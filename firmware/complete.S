/* gcpt_complete_flag, the last 8 bytes of the image. The restorer checks them first, to detect a truncated image. */
#include "gcpt_config.h"

#if GCPT_DATA
    .section .complete.data, "aw", %progbits
#else
    .section .complete.text, "a", %progbits
#endif
    .balign 8
    .dword GCPT_COMPLETE_FLAG

#if GCPT_UART_HTIF || GCPT_END_HTIF
/* Spike and QEMU look up these symbols in the ELF file. */
    .section .data.htif, "aw", %progbits
    .balign GCPT_HTIF_ALIGNMENT
    .global tohost, fromhost
    .type   tohost, @object         /* QEMU checks the sizes too */
    .size   tohost, 8
    .type   fromhost, @object
    .size   fromhost, 8
tohost:     .dword 0
    .balign GCPT_HTIF_ALIGNMENT
fromhost:   .dword 0
#endif
