/* The places of a protobuf header, and their order. */
#include "header.h"

#include "decode.h"
#include "log.h"

extern const uint8_t gcpt_header_window[];

bool gcpt_find_header(struct gcpt_plan *plan, uint64_t image, uint64_t image_end)
{
    uint64_t window = (uint64_t)gcpt_header_window;
    const uint64_t places[] = {
#ifdef GCPT_HEADER_ADDR
        GCPT_HEADER_ADDR,
#endif
        window,
        GCPT_DRAM + GCPT_MULTI_CORE_OFFSET,
        image == GCPT_DRAM ? 0 : GCPT_DRAM,
    };
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        /* A header in the window comes from the start of the image, so its cpt_offset counts from there. */
        uint64_t origin = places[i] == window ? image : places[i];
        uint64_t size = places[i] ? gcpt_decode_header(plan, (const uint8_t *)places[i], origin) : 0;
        if (size == 0)
            continue;
        struct gcpt_bounds bounds = { image, image_end, places[i], places[i] + size, 0, 0 };
#if GCPT_CSRS_V
        if (!gcpt_check_plan(plan, &bounds))
            gcpt_check_vectors(plan, &bounds);
#else
        gcpt_check_plan(plan, &bounds);
#endif
        gcpt_log_header(places[i]);
        return true;
    }
    return false;
}
