/* The harts that stop_cpu= parks. */
#ifndef GCPT_PARKED_H
#define GCPT_PARKED_H

#include <stdbool.h>
#include <stdint.h>

#include "gcpt_config.h"

static inline bool gcpt_is_parked(uint64_t hart)
{
    return ((hart < 64 ? (uint64_t)GCPT_STOP_LOW : GCPT_STOP_HIGH) >> (hart & 63)) & 1;
}

#endif
