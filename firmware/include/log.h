/* Messages of log=info and log=debug. A restorer with log=quiet contains none of this code. */
#ifndef GCPT_LOG_H
#define GCPT_LOG_H

#include "plan.h"

#if GCPT_LOG
void gcpt_log_start(uint64_t hart, uint64_t image, uint64_t image_end);
void gcpt_log_header(uint64_t address);
void gcpt_log_plan(const struct gcpt_plan *plan);
void gcpt_log_payload(void);
/* Called by the trap handler with the skipped instruction. */
void gcpt_log_skipped(uint32_t instruction);
#else
static inline void gcpt_log_start(uint64_t hart, uint64_t image, uint64_t image_end)
{
    (void)hart, (void)image, (void)image_end;
}
static inline void gcpt_log_header(uint64_t address)
{
    (void)address;
}
static inline void gcpt_log_plan(const struct gcpt_plan *plan)
{
    (void)plan;
}
static inline void gcpt_log_payload(void)
{
}
#endif

#endif
