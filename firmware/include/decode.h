/* Decodes and checks a protobuf header. Tests also run it on the host, under a fuzzer. */
#ifndef GCPT_DECODE_H
#define GCPT_DECODE_H

#include <stdint.h>

#include "plan.h"

/* Bytes that both messages may take at most, with room for the fields of later versions. */
#define GCPT_LONGEST_HEADER 512

/*
 * Decode a header into `plan`; return its size in bytes, 0 if there is none. bytes: GCPT_LONGEST_HEADER bytes. origin:
 * the address from which cpt_offset counts. A header that cannot be decoded or has an unknown version ends the run.
 */
uint64_t gcpt_decode_header(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin);

/*
 * End the run unless every block lies in memory and overlaps neither another block nor the restorer, which occupies
 * the addresses from image up to image_end, nor the header of `size` bytes at `header`.
 */
void gcpt_check_plan(const struct gcpt_plan *plan, uint64_t image, uint64_t image_end, uint64_t header, uint64_t size);

#endif
