/* Access to device registers from C; reset_macros.h has it for assembly. */
#ifndef GCPT_DEVICE_H
#define GCPT_DEVICE_H

#include <stdint.h>

/* Write a device register after all earlier stores to memory. */
static inline void gcpt_write_device(uint32_t *address, uint32_t value)
{
    __asm__ volatile("fence w, o" : : : "memory");
    *(volatile uint32_t *)address = value;
}

#endif
