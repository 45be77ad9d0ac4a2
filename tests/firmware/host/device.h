/* Access to device registers on the host, in place of the firmware's device.h: plain stores. */
#ifndef GCPT_DEVICE_H
#define GCPT_DEVICE_H

#include <stdint.h>

static inline void gcpt_write_device(uint32_t *address, uint32_t value)
{
    *address = value;
}

#endif
