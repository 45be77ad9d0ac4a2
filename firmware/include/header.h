/* Finds a checkpoint's protobuf header. */
#ifndef GCPT_HEADER_H
#define GCPT_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"

/*
 * Search the places listed in docs/formats.md and fill `plan` from the first header; false if there is none. The
 * restorer occupies the addresses from image up to image_end. A header with invalid values ends the run.
 */
bool gcpt_find_header(struct gcpt_plan *plan, uint64_t image, uint64_t image_end);

#endif
