/*
 * The first bytes of the image, which loaders and packing tools know (docs/formats.md, "The image's head"):
 *   0  a 4-byte jump
 *   4  u32: the bytes to load over memory
 *   8  protobuf modes: a window that a packing tool fills with a header which the restorer would overwrite
 * What reports an image that was cut short comes next, so that it is there when the rest is not.
 */
#include "gcpt_config.h"

    .section .head, "ax", %progbits
    .global _start, gcpt_base
gcpt_base:
_start:
    .option push
    .option norvc
    j       gcpt_boot
    .option pop
    .word   gcpt_size
#if GCPT_PROTOBUF
    .global gcpt_header_window
gcpt_header_window:
    .zero   GCPT_HEADER_WINDOW_SIZE
#endif
