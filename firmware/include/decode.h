/* What the bytes of a protobuf header say, and whether that can be. Also runs on the host, under a fuzzer. */
#ifndef GCPT_DECODE_H
#define GCPT_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/* The longest that the two messages can be, with room to spare for fields that a later version adds. */
#define GCPT_LONGEST_HEADER 512

/*
 * Whether there is a header in the GCPT_LONGEST_HEADER bytes; if so, `plan` is what it says. origin: the address that
 * its offset counts from. One that cannot be decoded or has an unknown version ends the run.
 */
bool gcpt_decode_header(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin);

/* Ends the run unless every block lies in memory, apart from the others and from the restorer. */
void gcpt_check_plan(const struct gcpt_plan *plan, uint64_t image, uint64_t image_end);

#endif
