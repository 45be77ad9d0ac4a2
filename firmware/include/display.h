/* Shows harts' state as it lies in memory, before it is restored. */
#ifndef GCPT_DISPLAY_H
#define GCPT_DISPLAY_H

#include "plan.h"

#if GCPT_DISPLAY
/* Prints the state of each hart that display_cpu= names and the checkpoint has. */
void gcpt_display(const struct gcpt_plan *plan);
#else
static inline void gcpt_display(const struct gcpt_plan *plan)
{
    (void)plan;
}
#endif

#endif
