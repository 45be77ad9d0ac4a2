/*
 * A libFuzzer target that decodes any bytes as a header. It checks each accepted plan again, field by field and in
 * arithmetic that cannot wrap; a refused header must end with a code about headers. nanopb must accept and refuse the
 * same bytes, and read the same values. The sanitizers check the rest.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

typedef unsigned __int128 wide;

struct range {
    const char *name;
    wide begin;
    wide end;
};

/* Bytes of the restorer: more than any restorer has. */
#define IMAGE_SIZE 0x50000

static const struct place places[] = {
    { GCPT_DRAM + GCPT_MULTI_CORE_OFFSET, GCPT_DRAM, GCPT_DRAM + IMAGE_SIZE },
    { GCPT_DRAM, GCPT_DRAM, GCPT_DRAM + IMAGE_SIZE },
    { GCPT_FLASH, GCPT_FLASH, GCPT_FLASH + IMAGE_SIZE },
};

static void require(bool holds, const char *invariant, const char *field)
{
    if (holds)
        return;
    fprintf(stderr, "invariant broken: %s (%s)\n", invariant, field);
    abort();
}

static bool within(const struct range *range, wide begin, wide size)
{
    return range->begin >= begin && range->end <= begin + size;
}

static bool meet(const struct range *a, const struct range *b, wide distance)
{
    return a->begin < b->end + distance && b->begin + distance < a->end;
}

static void check(const struct gcpt_plan *plan, const struct place *place)
{
    require(plan->harts >= 1 && plan->harts <= 128, "1 to 128 harts", "cpu_num");
    const struct gcpt_layout *layout = &plan->layout;
#define FIELD(name, size) { #name, layout->name, (wide)layout->name + (size) }
#define OPTIONAL_FIELD(name, present) \
    { #name, (present) ? layout->name : layout->pc, (wide)((present) ? layout->name : layout->pc) + 8 }
    /* clang-format off */
    struct range fields[] = {
        FIELD(pc, 8),
        FIELD(mode, 8),
        FIELD(mtime, 8),
        FIELD(mtime_cmp, 8 * plan->harts),
        FIELD(int_reg, 32 * 8),
        FIELD(float_reg, 32 * 8),
        FIELD(csr_reg, 4096 * 8),
        FIELD(vector_reg, 32 * 16),
        OPTIONAL_FIELD(misc_reserve, layout->misc_reserve), /* written */
        OPTIONAL_FIELD(csr_reserve, layout->csr_reserve),
        OPTIONAL_FIELD(magic_number, gcpt_has_mark(layout)),
    };
    /* clang-format on */
#undef FIELD
#undef OPTIONAL_FIELD
    const unsigned count = sizeof fields / sizeof fields[0];
    const struct range image = { "image", place->image, place->image_end };
    for (unsigned i = 0; i < count; i++) {
        struct range first = fields[i];
        first.begin = (uint64_t)(plan->base + (uint64_t)first.begin);
        first.end = first.begin + (fields[i].end - fields[i].begin);
        require(first.begin % 8 == 0, "aligned", first.name);
        for (unsigned hart = 0; hart < plan->harts; hart++) {
            wide distance = (wide)plan->block_size * hart;
            struct range range = { first.name, first.begin + distance, first.end + distance };
            require(range.begin % 8 == 0, "aligned", range.name);
            require(within(&range, GCPT_DRAM, GCPT_DRAM_SIZE) || within(&range, GCPT_FLASH, 2 << 20), "in memory",
                    range.name);
            require(!meet(&range, &image, 0), "outside the restorer", range.name);
        }
        for (unsigned k = 0; k < count; k++)
            for (unsigned hart = 1; hart < plan->harts; hart++)
                require(!meet(&fields[i], &fields[k], (wide)plan->block_size * hart), "blocks apart", fields[i].name);
    }
}

static void compare(int code, const struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin)
{
    struct gcpt_plan expected = { 0 };
    int oracle = oracle_decode(&expected, bytes, origin);
    if (oracle != ACCEPTED || code != GCPT_CODE_BAD_HEADER)
        require(code == oracle, "as nanopb", "code");
    if (oracle == ACCEPTED)
        require(memcmp(plan, &expected, sizeof expected) == 0, "as nanopb", "values");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* On the heap, so that AddressSanitizer detects a read beyond the end. */
    uint8_t *bytes = calloc(1, GCPT_LONGEST_HEADER);
    memcpy(bytes, data, size < GCPT_LONGEST_HEADER ? size : GCPT_LONGEST_HEADER);
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        struct gcpt_plan plan = { 0 };
        int code = host_decode(&plan, bytes, &places[i]);
        compare(code, &plan, bytes, places[i].origin);
        if (code == ACCEPTED)
            check(&plan, &places[i]);
        else
            require(code == NO_HEADER || code == GCPT_CODE_VERSION || code == GCPT_CODE_DECODE ||
                        code == GCPT_CODE_BAD_HEADER,
                    "a code about headers", "code");
    }
    free(bytes);
    return 0;
}
