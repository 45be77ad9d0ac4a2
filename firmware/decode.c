/* Decodes a protobuf header into a plan and checks that every address derived from it is safe to use. */
#include "decode.h"

#include <stdbool.h>

#include "checkpoint.pb.h"
#include "pb_decode.h"

extern const uint32_t checkpoint_header_field_info[];
extern const uint32_t single_core_rvgc_rvv_rvh_memlayout_field_info[];

/*
 * nanopb's generated descriptors are constants that hold absolute addresses; a position-independent image cannot have
 * these. This macro builds the same descriptor at run time.
 */
#define DESCRIPTOR(message, largest) \
    { \
        .field_info = message##_field_info, \
        .submsg_info = &no_submessage, \
        .default_value = NULL, \
        .field_callback = pb_default_field_callback, \
        .field_count = 0 message##_FIELDLIST(COUNT_FIELD, 0), \
        .required_field_count = 0, \
        .largest_tag = largest, \
    }
#define COUNT_FIELD(context, allocation, label, type, name, tag) +1

static bool decode(pb_istream_t *stream, const pb_msgdesc_t *message, void *result)
{
    return pb_decode_ex(stream, message, result, PB_DECODE_NULLTERMINATED);
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
}

static bool within(uint64_t begin, uint64_t bytes, uint64_t area, uint64_t size)
{
    return bytes <= size && begin >= area && begin - area <= size - bytes;
}

/* All values are untrusted input: no address is used before it is known to be in memory and outside the restorer. */
void gcpt_check_plan(const struct gcpt_plan *plan, uint64_t image, uint64_t image_end, uint64_t header, uint64_t size)
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
    bool over_image = (begin < image_end && image < begin + bytes);
    bool over_header = (begin < header + size && header < begin + bytes);
    if (!in_memory || over_image || over_header)
        gcpt_fail(GCPT_CODE_BAD_HEADER);
}

uint64_t gcpt_decode_header(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin)
{
    const pb_msgdesc_t *const no_submessage = NULL;
    const pb_msgdesc_t header_message = DESCRIPTOR(checkpoint_header, checkpoint_header_version_tag);
    const pb_msgdesc_t layout_message =
        DESCRIPTOR(single_core_rvgc_rvv_rvh_memlayout, single_core_rvgc_rvv_rvh_memlayout_vector_reg_done_tag);
    checkpoint_header header = { 0 };
    single_core_rvgc_rvv_rvh_memlayout fields;
    pb_istream_t stream = pb_istream_from_buffer(bytes, GCPT_LONGEST_HEADER);
    bool whole = decode(&stream, &header_message, &header);
    if (header.magic_number != GCPT_HEADER_MAGIC)
        return 0;
    /* nanopb also ends a message at the end of the bytes, but such a message may be truncated. */
    if (!whole || !decode(&stream, &layout_message, &fields) || stream.bytes_left == 0)
        gcpt_fail(GCPT_CODE_DECODE);
    if (header.version != GCPT_HEADER_VERSION_1 && header.version != GCPT_HEADER_VERSION_2)
        gcpt_fail(GCPT_CODE_VERSION);
    plan->base = origin + header.cpt_offset;
    plan->block_size = header.single_core_size;
    plan->harts = header.cpu_num;
    plan->layout = (struct gcpt_layout){
#define GCPT_FIELD(name, offset) .name = fields.GCPT_MESSAGE_FIELD_##name,
        GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
    };
    return GCPT_LONGEST_HEADER - stream.bytes_left;
}
