/* The plan: one hart writes it, and every hart restores from it. */
#ifndef GCPT_PLAN_H
#define GCPT_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "gcpt_config.h"

/* Byte offsets of the fields in a hart's block, in the order of layouts.Layout. */
struct gcpt_layout {
#define GCPT_FIELD(name, offset) uint64_t name;
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
};

struct gcpt_plan {
    uint64_t base;       /* address of hart 0's block */
    uint64_t block_size; /* bytes from one hart's block to the next */
    uint64_t harts;      /* harts in the checkpoint; 0: no checkpoint, boot the payload */
    uint64_t restored;   /* harts in the checkpoint that are not parked */
    uint64_t nemu;       /* 1 if NEMU wrote the checkpoint: one hart, and a count of 0 */
    struct gcpt_layout layout;
};

/* The assembly reads the plan at these offsets. */
_Static_assert(__builtin_offsetof(struct gcpt_plan, base) == PLAN_base, "PLAN_base");
_Static_assert(__builtin_offsetof(struct gcpt_plan, block_size) == PLAN_block_size, "PLAN_block_size");
_Static_assert(__builtin_offsetof(struct gcpt_plan, harts) == PLAN_harts, "PLAN_harts");
_Static_assert(__builtin_offsetof(struct gcpt_plan, restored) == PLAN_restored, "PLAN_restored");
_Static_assert(__builtin_offsetof(struct gcpt_plan, nemu) == PLAN_nemu, "PLAN_nemu");
#define GCPT_FIELD(name, offset) \
    _Static_assert(__builtin_offsetof(struct gcpt_plan, layout.name) == PLAN_##name, "PLAN_" #name);
GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD

extern struct gcpt_plan gcpt_the_plan;

/* The address of `field` in the block of hart `hart`. */
#define gcpt_field(plan, hart, field) \
    ((const uint64_t *)((plan)->base + (hart) * (plan)->block_size + (plan)->layout.field))

/* Whether a block has a place for the magic number: right before the pc. A header may omit it. */
static inline bool gcpt_has_mark(const struct gcpt_layout *layout)
{
    return layout->pc >= 8 && layout->pc - 8 == layout->magic_number;
}

/* End the run with a signal code (fail.S). */
_Noreturn void gcpt_fail(int code);

#endif
