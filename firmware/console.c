#include "console.h"

#include <stdarg.h>
#include <stdio.h>

/* One character to the console (fail.S). */
void gcpt_put_char(int character);

static int put(char character, FILE *stream)
{
    (void)stream;
    gcpt_put_char(character);
    return 0;
}

/* The stream is made anew each time: one that the linker filled in would hold the absolute address of put. */
void gcpt_printf(const char *format, ...)
{
    FILE stream = { .flags = __SWR, .put = put };
    va_list arguments;
    va_start(arguments, format);
    vfprintf(&stream, format, arguments);
    va_end(arguments);
}
