/* nanopb's own decoder, as the judge of the firmware's. */
#include "checkpoint.pb.h"
#include "host.h"
#include "pb_decode.h"

int oracle_decode(struct gcpt_plan *plan, const uint8_t *bytes, uint64_t origin)
{
    checkpoint_header header = checkpoint_header_init_zero;
    single_core_rvgc_rvv_rvh_memlayout fields;
    pb_istream_t stream = pb_istream_from_buffer(bytes, GCPT_LONGEST_HEADER);
    bool whole = pb_decode_ex(&stream, checkpoint_header_fields, &header, PB_DECODE_NULLTERMINATED);
    if (header.magic_number != GCPT_HEADER_MAGIC)
        return NO_HEADER;
    whole =
        whole && pb_decode_ex(&stream, single_core_rvgc_rvv_rvh_memlayout_fields, &fields, PB_DECODE_NULLTERMINATED);
    if (!whole || stream.bytes_left == 0)
        return GCPT_CODE_DECODE;
    if (header.version != GCPT_HEADER_VERSION_1 && header.version != GCPT_HEADER_VERSION_2)
        return GCPT_CODE_VERSION;
    plan->base = origin + header.cpt_offset;
    plan->block_size = header.single_core_size;
    plan->harts = header.cpu_num;
#define GCPT_FIELD(name, offset) plan->layout.name = fields.GCPT_MESSAGE_FIELD_##name;
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
    return ACCEPTED;
}
