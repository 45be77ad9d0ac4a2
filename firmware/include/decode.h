/* Decodes and checks a protobuf header. Tests also run it on the host, under a fuzzer. */
#ifndef GCPT_DECODE_H
#define GCPT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/* Bytes that both messages may take at most, with room for the fields of later versions. */
#define GCPT_LONGEST_HEADER 512

/*
 * Decode a header into `plan`; return its size in bytes, 0 if there is none. bytes: GCPT_LONGEST_HEADER bytes. origin:
 * the address from which cpt_offset counts. A header that cannot be decoded or has an unknown version ends the run.
 */
uint64_t gcpt_decode_header(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin);

/* What blocks must not overlap, and the room between them. */
struct gcpt_bounds {
    uint64_t image; /* the restorer's first address */
    uint64_t image_end;
    uint64_t header; /* the header's first address */
    uint64_t header_end;
    uint64_t high; /* gcpt_check_plan sets it: the end of a block, from its base, with the shortest vector registers */
    uint64_t gap;  /* gcpt_check_plan sets it: the bytes from there to the next block */
};

/*
 * End the run unless every block, with the shortest vector registers, lies in memory and overlaps neither another block
 * nor the restorer nor the header. Return whether this is certain for longer ones too.
 */
bool gcpt_check_plan(const struct gcpt_plan *plan, struct gcpt_bounds *bounds);

#if GCPT_CSRS_V
/* After gcpt_check_plan: end the run unless that is so for the length in each block whose vector registers matter. */
void gcpt_check_vectors(const struct gcpt_plan *plan, const struct gcpt_bounds *bounds);
#endif

#endif
