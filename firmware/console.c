#include "console.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* Print one character on the console (fail.S). */
void gcpt_put_char(int character);

static int put(char character, FILE *stream)
{
    (void)stream;
    gcpt_put_char(character);
    return 0;
}

/*
 * The stream is set up on every call: a static one would hold the absolute address of put, and so would the constant
 * from which clang copies an initializer.
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

/* In .data, which the loader initializes. */
static uint32_t is_locked __attribute__((section(".data.console")));

void gcpt_console_lock(void)
{
    while (__atomic_exchange_n(&is_locked, 1, __ATOMIC_ACQUIRE))
        ;
}

void gcpt_console_unlock(void)
{
    __atomic_store_n(&is_locked, 0, __ATOMIC_RELEASE);
}
