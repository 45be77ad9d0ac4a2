/* Formatted output on the platform's console, for restorers that print more than an error line. */
#ifndef GCPT_CONSOLE_H
#define GCPT_CONSOLE_H

void gcpt_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The lock for output while several harts may print. Not recursive. */
void gcpt_console_lock(void);
void gcpt_console_unlock(void);

#endif
