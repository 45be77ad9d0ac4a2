/* The protobuf header of a checkpoint. */
#ifndef GCPT_HEADER_H
#define GCPT_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/*
 * Looks for a header in the places of docs/formats.md and fills `plan` from the first one. image, image_end: what the
 * restorer occupies. False where there is none; one with values that cannot be right ends the run.
 */
bool gcpt_find_header(struct gcpt_plan *plan, uint64_t image, uint64_t image_end);

#endif
