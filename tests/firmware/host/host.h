/* The restorer's decoder of headers as a function of the host that returns. */
#ifndef HOST_H
#define HOST_H

#include "decode.h"

/* Where a header lies and what the restorer occupies, as addresses of the machine. */
struct place {
    uint64_t origin;
    uint64_t image;
    uint64_t image_end;
};

#define ACCEPTED 0
#define NO_HEADER (-1)

/* ACCEPTED, NO_HEADER or the code with which the run would end. bytes: GCPT_LONGEST_HEADER of them. */
int host_decode(struct gcpt_plan *plan, const uint8_t *bytes, const struct place *place);

#endif
