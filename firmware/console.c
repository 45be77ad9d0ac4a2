#include "console.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* One character to the console (fail.S). */
void gcpt_put_char(int character);

static int put(char character, FILE *stream)
{
    (void)stream;
    gcpt_put_char(character);
    return 0;
}

/*
 * The stream is made anew each time: one that the linker filled in would hold the absolute address of put, and so would
 * the constant that clang copies an initializer from.
 */
void gcpt_printf(const char *format, ...)
{
    FILE stream = { .flags = __SWR };
    va_list arguments;
    stream.put = put;
    va_start(arguments, format);
    vfprintf(&stream, format, arguments);
    va_end(arguments);
}

/* In .data, where the loader clears it. */
static uint32_t is_taken __attribute__((section(".data.console")));

void gcpt_console_lock(void)
{
    while (__atomic_exchange_n(&is_taken, 1, __ATOMIC_ACQUIRE))
        ;
}

void gcpt_console_unlock(void)
{
    __atomic_store_n(&is_taken, 0, __ATOMIC_RELEASE);
}
