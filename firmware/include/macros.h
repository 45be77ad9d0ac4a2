/* Words of the assembly files that are no instructions, and how a checkpoint's fields are reached. */
#ifndef GCPT_MACROS_H
#define GCPT_MACROS_H

#include "gcpt_config.h"

#define CAUSE_ILLEGAL   2
#define MSTATUS_MIE     0x8
#define MSTATUS_MPIE    0x80
#define MSTATUS_MPP     0x1800
#define MSTATUS_VS      0x600
#define MSTATUS_FS      0x6000
#define MSTATUS_MPRV    0x20000
#define MIP_MSIP        0x8

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
#if GCPT_UART_SHIFT >= 2            /* such registers are words on their bus */
#define UART_LOAD           lw
#define UART_STORE          sw
#else
#define UART_LOAD           lbu
#define UART_STORE          sb
#endif
#endif

#define GCPT_FROMHOST_OFFSET GCPT_HTIF_ALIGNMENT

#endif
