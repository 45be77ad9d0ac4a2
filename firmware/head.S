/*
 * The first bytes of the image, an interface to loaders and packing tools (docs/formats.md, "The image's head"):
 *   0  a 4-byte jump
 *   4  u32: number of bytes to load over memory
 *   8  protobuf modes: the header window, which a packing tool fills with a header that the restorer would overwrite
 * The code that reports a truncated image follows, so that it is present even if the rest is not.
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
