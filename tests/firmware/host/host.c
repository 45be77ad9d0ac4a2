#include "host.h"

#include <setjmp.h>

static jmp_buf end_of_run;

_Noreturn void gcpt_fail(int code)
{
    longjmp(end_of_run, code);
}

int host_decode(struct gcpt_plan *plan, const uint8_t *bytes, const struct place *place)
{
    int code = setjmp(end_of_run);
    if (code)
        return code;
    uint64_t size = gcpt_decode_header(plan, bytes, place->origin);
    if (size == 0)
        return NO_HEADER;
    struct gcpt_bounds bounds = { place->image, place->image_end, place->origin, place->origin + size, 0, 0 };
    gcpt_check_plan(plan, &bounds);
    return ACCEPTED;
}
