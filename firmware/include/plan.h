/* What the planning hart finds out and every hart then restores from. */
#ifndef GCPT_PLAN_H
#define GCPT_PLAN_H

#include <stdint.h>

#include "gcpt_config.h"

/* Offsets of the fields in a hart's block, in bytes, in the order of layouts.Layout. */
struct gcpt_layout {
#define GCPT_FIELD(name, offset) uint64_t name;
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
};

struct gcpt_plan {
    uint64_t base;       /* address of hart 0's block */
    uint64_t block_size; /* bytes from one hart's block to the next */
    uint64_t harts;      /* harts in the checkpoint; 0: there is none, boot the payload */
    uint64_t restored;   /* those of them that are not parked */
    struct gcpt_layout layout;
};

/* The assembly reads the plan at these offsets. */
_Static_assert(__builtin_offsetof(struct gcpt_plan, base) == PLAN_base, "PLAN_base");
_Static_assert(__builtin_offsetof(struct gcpt_plan, block_size) == PLAN_block_size, "PLAN_block_size");
_Static_assert(__builtin_offsetof(struct gcpt_plan, harts) == PLAN_harts, "PLAN_harts");
_Static_assert(__builtin_offsetof(struct gcpt_plan, restored) == PLAN_restored, "PLAN_restored");
#define GCPT_FIELD(name, offset) \
    _Static_assert(__builtin_offsetof(struct gcpt_plan, layout.name) == PLAN_##name, "PLAN_" #name);
GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD

extern struct gcpt_plan gcpt_the_plan;

/* Address of `field` in hart `hart`'s block. */
#define gcpt_field(plan, hart, field) \
    ((const uint64_t *)((plan)->base + (hart) * (plan)->block_size + (plan)->layout.field))

/* Ends the run with a signal code (fail.S). */
_Noreturn void gcpt_fail(int code);

#endif
