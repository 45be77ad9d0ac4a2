/* Prints the harts' state in memory, before the restore. */
#ifndef GCPT_DISPLAY_H
#define GCPT_DISPLAY_H

#include "plan.h"

#if GCPT_DISPLAY
/* Print the state of each hart of the checkpoint that display_cpu= lists. */
void gcpt_display(const struct gcpt_plan *plan);
#else
static inline void gcpt_display(const struct gcpt_plan *plan)
{
    (void)plan;
}
#endif

#endif
