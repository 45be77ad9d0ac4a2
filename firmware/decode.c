/* Decodes a protobuf header into a plan and checks that every address derived from it is safe to use. */
#include "decode.h"

#include <stdbool.h>
#include <stddef.h>

#include "gcpt_messages.h"
#include "parked.h"

/*
 * The messages are read by hand, because nanopb's decoder takes ten times as many instructions. What is accepted is
 * exactly what nanopb accepts with PB_DECODE_NULLTERMINATED; tests compare both. A reader returns the first byte after
 * what it read, and NULL if that is not valid or goes beyond `end`.
 */
typedef const uint8_t *cursor;

/* Tags of a generated message: one bit for each, and the number of the last. */
#define TAG_BIT(name, tag) | 1u << tag
#define HEADER_TAGS (0 checkpoint_header_FIELDS(TAG_BIT))
#define HEADER_LAST_TAG checkpoint_header_version_tag
#define LAYOUT_TAGS (0 single_core_rvgc_rvv_rvh_memlayout_FIELDS(TAG_BIT))
#define LAYOUT_LAST_TAG single_core_rvgc_rvv_rvh_memlayout_vector_reg_done_tag
#define LAYOUT_TAG(name) LAYOUT_TAG_OF(GCPT_MESSAGE_FIELD_##name)
#define LAYOUT_TAG_OF(field) LAYOUT_TAG_PASTED(field)
#define LAYOUT_TAG_PASTED(field) single_core_rvgc_rvv_rvh_memlayout_##field##_tag

enum wire_type { WIRE_VARINT = 0, WIRE_64_BITS = 1, WIRE_BYTES = 2, WIRE_32_BITS = 5 };

static cursor read_number(cursor at, cursor end, uint64_t *number)
{
    uint64_t bits = 0;
    for (unsigned shift = 0; at != end; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1)
            return NULL; /* more than 64 bits */
        bits |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *number = bits;
            return at;
        }
    }
    return NULL;
}

/* Whether a byte of a 32-bit number, from the fifth on, only adds zeros or the sign extension to `number`. */
static bool is_extension(unsigned shift, uint8_t byte, uint32_t number)
{
    if (shift == 28)
        return (byte & 0x70) == 0 || (byte & 0x78) == 0x78;
    return (byte & 0x7f) == 0 || (number >> 31 && byte == (shift < 63 ? 0xff : 0x01));
}

/* A tag with its wire type, or a length: a number of 32 bits, which may be extended to 64. */
static cursor read_short_number(cursor at, cursor end, uint32_t *number)
{
    uint32_t bits = 0;
    for (unsigned shift = 0; at != end && shift <= 63; shift += 7) {
        uint8_t byte = *at++;
        if (shift <= 28)
            bits |= (uint32_t)(byte & 0x7f) << shift;
        if (shift >= 28 && !is_extension(shift, byte, bits))
            return NULL;
        if (byte < 0x80) {
            *number = bits;
            return at;
        }
    }
    return NULL;
}

/* Skip the value of an unknown field. */
static cursor skip(cursor at, cursor end, uint32_t wire_type)
{
    uint32_t bytes = 0;
    switch (wire_type) {
    case WIRE_VARINT: /* of any length */
        while (at != end)
            if (*at++ < 0x80)
                return at;
        return NULL;
    case WIRE_64_BITS:
        bytes = 8;
        break;
    case WIRE_BYTES:
        at = read_short_number(at, end, &bytes);
        break;
    case WIRE_32_BITS:
        bytes = 4;
        break;
    default:
        return NULL;
    }
    return at && bytes <= (uint64_t)(end - at) ? at + bytes : NULL;
}

/* Read a message up to its zero byte into `values`, by tag. The values before the first fault are valid too. */
static cursor read_message(cursor at, cursor end, uint32_t known_tags, uint64_t *values)
{
    uint32_t key;
    while ((at = read_short_number(at, end, &key))) {
        uint32_t tag = key >> 3, wire_type = key & 7;
        if (tag == 0)
            return at;
        if (tag > 31 || !(known_tags >> tag & 1))
            at = skip(at, end, wire_type);
        else
            at = wire_type == WIRE_VARINT ? read_number(at, end, &values[tag]) : NULL;
        if (!at)
            return NULL;
    }
    return NULL;
}

/* The span of the fields that a restore reads or writes: the lowest offset, and the first byte after the last field. */
static void extent(const struct gcpt_layout *layout, uint64_t harts, uint64_t *low, uint64_t *high)
{
    const uint64_t begins[][2] = {
        { layout->pc, 8 },
        { layout->mode, 8 },
        { layout->mtime, 8 },
        { layout->mtime_cmp, 8 * harts },
        { layout->misc_reserve ? layout->misc_reserve : layout->pc, 8 }, /* 0: no misc_reserve */
        { layout->csr_reserve ? layout->csr_reserve : layout->pc, 8 },   /* 0: no csr_reserve */
        { layout->int_reg, 32 * 8 },
        { layout->float_reg, 32 * 8 },
        { layout->csr_reg, GCPT_CSR_COUNT * 8 },
        { layout->vector_reg, 32 * GCPT_DEFAULT_VLENB },
    };
    *low = ~0ULL;
    *high = 0;
    for (unsigned i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        uint64_t begin = begins[i][0], end = begin + begins[i][1];
        if (begin & 7 || begin > GCPT_LARGEST_OFFSET)
            gcpt_fail(GCPT_CODE_BAD_HEADER);
        if (begin < *low)
            *low = begin;
        if (end > *high)
            *high = end;
    }
    if (*low == layout->pc && gcpt_has_mark(layout))
        *low = layout->magic_number;
}

/* The bytes that the longest vector registers may reach beyond a block with the shortest. */
#define MOST_EXCESS (32 * (uint64_t)(GCPT_MAX_VLENB - GCPT_DEFAULT_VLENB))

static bool within(uint64_t begin, uint64_t bytes, uint64_t area, uint64_t size)
{
    return bytes <= size && begin >= area && begin - area <= size - bytes;
}

/*
 * Whether blocks that end at `end` may have `more` bytes. What is not behind them is a distance of almost 2^64 away. It
 * is inline because a call takes as many instructions.
 */
static inline __attribute__((always_inline)) bool has_room(const struct gcpt_bounds *bounds, uint64_t end,
                                                           uint64_t more)
{
    bool room = bounds->image - end >= more && bounds->header - end >= more;
#if GCPT_FLASH
    room = room && GCPT_FLASH + GCPT_RESERVED_SIZE + GCPT_BLOCK_SIZE - end >= more;
#endif
    return room && GCPT_DRAM + GCPT_DRAM_SIZE - end >= more;
}

/* All values are untrusted input: no address is used before it is known to be in memory and outside the restorer. */
bool gcpt_check_plan(const struct gcpt_plan *plan, struct gcpt_bounds *bounds)
{
    if (plan->harts < 1 || plan->harts > GCPT_MAX_HARTS)
        gcpt_fail(GCPT_CODE_BAD_HEADER);
    uint64_t low, high;
    extent(&plan->layout, plan->harts, &low, &high);
    bool size_is_right = plan->harts == 1 || (plan->block_size >= high - low && plan->block_size % 8 == 0);
    if (!size_is_right || plan->block_size > GCPT_LARGEST_OFFSET || plan->base % 8 != 0)
        gcpt_fail(GCPT_CODE_BAD_HEADER);
    uint64_t begin = plan->base + low;
    uint64_t bytes = (plan->harts - 1) * plan->block_size + (high - low);
    bool in_memory = within(begin, bytes, GCPT_DRAM, GCPT_DRAM_SIZE);
#if GCPT_FLASH
    in_memory |= within(begin, bytes, GCPT_FLASH, GCPT_RESERVED_SIZE + GCPT_BLOCK_SIZE);
#endif
    bool over_image = (begin < bounds->image_end && bounds->image < begin + bytes);
    bool over_header = (begin < bounds->header_end && bounds->header < begin + bytes);
    if (!in_memory || over_image || over_header)
        gcpt_fail(GCPT_CODE_BAD_HEADER);
    bounds->high = high;
    bounds->gap = plan->harts == 1 ? MOST_EXCESS : plan->block_size - (high - low);
    return bounds->gap >= MOST_EXCESS && has_room(bounds, begin + bytes, MOST_EXCESS);
}

#if GCPT_CSRS_V
void gcpt_check_vectors(const struct gcpt_plan *plan, const struct gcpt_bounds *bounds)
{
    for (uint64_t hart = 0; hart < plan->harts; hart++) {
        const uint64_t *csrs = gcpt_field(plan, hart, csr_reg);
        uint64_t vlenb = csrs[GCPT_CSR_VLENB];
        uint64_t end = plan->layout.vector_reg + 32 * vlenb;
        /* GCPT_CODE_VLEN follows for a length that no hart has; with VS = Off the registers are not restored. */
        bool possible = vlenb <= GCPT_MAX_VLENB && (vlenb & (vlenb - 1)) == 0 && (csrs[GCPT_CSR_MSTATUS] >> 9 & 3);
        if (!possible || end <= bounds->high || gcpt_is_parked(hart))
            continue;
        uint64_t more = end - bounds->high;
        bool is_last = hart + 1 == plan->harts;
        if (is_last ? !has_room(bounds, plan->base + hart * plan->block_size + bounds->high, more) : bounds->gap < more)
            gcpt_fail(GCPT_CODE_OVERLAP);
    }
}
#endif

uint64_t gcpt_decode_header(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin)
{
    /* Field by field: an initializer would be a call of memset, which clears bytes. */
    uint64_t header[HEADER_LAST_TAG + 1];
#define CLEAR(name, tag) header[tag] = 0;
    checkpoint_header_FIELDS(CLEAR)
#undef CLEAR
        cursor end = bytes + GCPT_LONGEST_HEADER;
    cursor at = read_message(bytes, end, HEADER_TAGS, header);
    if (header[checkpoint_header_magic_number_tag] != GCPT_HEADER_MAGIC)
        return 0;
    uint64_t layout[LAYOUT_LAST_TAG + 1];
#define CLEAR(name, tag) layout[tag] = 0;
    single_core_rvgc_rvv_rvh_memlayout_FIELDS(CLEAR)
#undef CLEAR
        if (at) at = read_message(at, end, LAYOUT_TAGS, layout);
    /* A message that ends with the last byte may be truncated. */
    if (!at || at == end)
        gcpt_fail(GCPT_CODE_DECODE);
    uint64_t version = header[checkpoint_header_version_tag];
    if (version != GCPT_HEADER_VERSION_1 && version != GCPT_HEADER_VERSION_2)
        gcpt_fail(GCPT_CODE_VERSION);
    plan->base = origin + header[checkpoint_header_cpt_offset_tag];
    plan->block_size = header[checkpoint_header_single_core_size_tag];
    plan->harts = header[checkpoint_header_cpu_num_tag];
#define GCPT_FIELD(name, offset) plan->layout.name = layout[LAYOUT_TAG(name)];
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
    return at - bytes;
}
