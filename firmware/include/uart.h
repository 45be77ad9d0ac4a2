/* Registers of the platforms' consoles, for assembly. */
#ifndef GCPT_UART_H
#define GCPT_UART_H

#include "gcpt_config.h"

#if GCPT_UART_UARTLITE
#define GCPT_UART_DATA      4
#define GCPT_UART_STATUS    8
#define GCPT_UART_MASK      0x8     /* transmitter full */
#define UART_LOAD           lw
#define UART_STORE          sw
#define UART_NOT_READY      bnez
#elif GCPT_UART_16550
#define GCPT_UART_DATA      0
#define GCPT_UART_STATUS    (5 << GCPT_UART_SHIFT)
#define GCPT_UART_MASK      0x20    /* transmitter holding register empty */
#define UART_NOT_READY      beqz
#if GCPT_UART_SHIFT >= 2            /* registers so far apart are accessed as words */
#define UART_LOAD           lw
#define UART_STORE          sw
#else
#define UART_LOAD           lbu
#define UART_STORE          sb
#endif
#endif

#define GCPT_FROMHOST_OFFSET GCPT_HTIF_ALIGNMENT

#endif
