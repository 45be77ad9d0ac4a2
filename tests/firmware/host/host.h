/* The restorer's header decoder as a host function that returns. */
#ifndef HOST_H
#define HOST_H

#include "decode.h"

/* Addresses of a header and of the restorer (first byte, and first byte after it) on the machine. */
struct place {
    uint64_t origin;
    uint64_t image;
    uint64_t image_end;
};

#define ACCEPTED 0
#define NO_HEADER (-1)

/* Returns ACCEPTED, NO_HEADER or the code with which the run would end. bytes: GCPT_LONGEST_HEADER bytes. */
int host_decode(struct gcpt_plan *plan, const uint8_t *bytes, const struct place *place);

/* What nanopb makes of the same bytes: ACCEPTED, NO_HEADER, or the code; of an accepted header all but `restored`. */
int oracle_decode(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin);

#endif
