/* The planner: finds and checks the checkpoint, fills the plan and wakes the other harts. */
#include "plan.h"

#include "device.h"
#include "display.h"
#include "header.h"
#include "log.h"
#include "parked.h"

/* All harts read it: in .data, which the loader initializes. */
struct gcpt_plan gcpt_the_plan __attribute__((section(".data.plan")));
extern uint64_t gcpt_sleepers[2];

enum default_layout {
#define GCPT_FIELD(name, offset) DEFAULT_##name = offset,
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
};

/* If a block in the default layout at `base` has the magic number, fill the plan with that one hart and return true. */
static bool find_default(struct gcpt_plan *plan, uint64_t base)
{
    if (*(const uint64_t *)(base + DEFAULT_magic_number) != GCPT_CHECKPOINT_MAGIC)
        return false;
    /* Field by field: a copy of the whole would be a call of memcpy, which copies bytes. */
#define GCPT_FIELD(name, offset) plan->layout.name = DEFAULT_##name;
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
    plan->base = base;
    plan->block_size = GCPT_BLOCK_SIZE;
    plan->harts = 1;
    return true;
}

#if GCPT_FIND_MULTI_CORE
/*
 * Find the blocks of several harts. QEMU writes the count 2 for any number of harts: from the third block on,
 * consecutive blocks with the magic number count too. A count of 0 means one hart.
 */
static bool find_multi_core(struct gcpt_plan *plan)
{
    if (!find_default(plan, GCPT_DRAM + GCPT_MULTI_CORE_OFFSET))
        return false;
    uint64_t count = *gcpt_field(plan, 0, csr_reserve);
    plan->harts = count ? count : 1;
    if (count == 2)
        while (plan->harts < GCPT_MAX_HARTS && *gcpt_field(plan, plan->harts, magic_number) == GCPT_CHECKPOINT_MAGIC)
            plan->harts++;
    return true;
}
#endif

/*
 * Every counted block must have the magic number if the first one has it: one variant of QEMU omits all of them after a
 * header.
 */
static void check_marks(const struct gcpt_plan *plan)
{
    if (!gcpt_has_mark(&plan->layout) || *gcpt_field(plan, 0, magic_number) != GCPT_CHECKPOINT_MAGIC)
        return;
    for (uint64_t hart = 1; hart < plan->harts; hart++)
        if (*gcpt_field(plan, hart, magic_number) != GCPT_CHECKPOINT_MAGIC)
            gcpt_fail(GCPT_CODE_UNMARKED);
}

/* Search the places of this restorer's mode, in the order of docs/formats.md. */
static bool find(struct gcpt_plan *plan, uint64_t image, uint64_t image_end)
{
#if GCPT_PROTOBUF
    if (gcpt_find_header(plan, image, image_end))
        return true;
#else
    (void)image_end;
#endif
#if GCPT_FIND_MULTI_CORE
    if (find_multi_core(plan))
        return true;
#endif
#if GCPT_FIND_SINGLE_CORE
    if (find_default(plan, image))
        return true;
#endif
#if GCPT_PROTOBUF
    if (find_default(plan, image + GCPT_NEMU_PROTOBUF_OFFSET))
        return true;
    if (image != GCPT_DRAM && find_default(plan, GCPT_DRAM + GCPT_NEMU_PROTOBUF_OFFSET))
        return true;
#endif
    (void)image;
    return false;
}

/* Wake the sleeping harts; from flash, where harts cannot record that they sleep, wake every possible hart. */
static void wake_sleepers(void)
{
    uint32_t *msip = (uint32_t *)(GCPT_CLINT + GCPT_CLINT_MSIP);
    for (unsigned word = 0; word < 2; word++, msip += 64) {
#if GCPT_RAM
        uint64_t asleep = word ? GCPT_OTHER_HARTS_HIGH : GCPT_OTHER_HARTS_LOW;
#else
        uint64_t asleep = __atomic_exchange_n(&gcpt_sleepers[word], ~0ULL, __ATOMIC_ACQ_REL);
#endif
        for (unsigned hart = 0; asleep; asleep >>= 1, hart++)
            if (asleep & 1)
                gcpt_write_device(&msip[hart], 1);
    }
}

/*
 * Called once, by the planning hart. The restorer occupies the addresses from image up to image_end. Does not return if
 * there is nothing to restore or boot.
 */
void gcpt_make_plan(uint64_t hart, uint64_t image, uint64_t image_end)
{
    struct gcpt_plan *plan = &gcpt_the_plan;
    gcpt_log_start(hart, image, image_end);
    if (find(plan, image, image_end)) {
        if (plan->harts > GCPT_HARTS)
            gcpt_fail(GCPT_CODE_HARTS);
        check_marks(plan);
        plan->restored = 0;
        for (uint64_t i = 0; i < plan->harts; i++)
            plan->restored += !gcpt_is_parked(i);
        plan->nemu = plan->harts == 1 && plan->layout.csr_reserve && !*gcpt_field(plan, 0, csr_reserve);
        gcpt_log_plan(plan);
        gcpt_display(plan);
    } else {
        plan->harts = 0;
#if GCPT_PAYLOAD && !GCPT_PAYLOAD_IN_IMAGE
        if (!*(const volatile uint32_t *)GCPT_PAYLOAD_POSITION) /* an all-zero word is no instruction */
            gcpt_fail(GCPT_CODE_NO_CHECKPOINT);
#endif
#if !GCPT_PAYLOAD
        gcpt_fail(GCPT_CODE_NO_CHECKPOINT);
#else
        gcpt_log_payload();
#endif
    }
    wake_sleepers();
}
