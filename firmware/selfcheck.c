/* selfcheck=1: reports a CSR that does not read as it was written. */
#include <stdint.h>

#include "console.h"
#include "csr_names.h"

/* Called by restore.S. */
void gcpt_report_difference(uint64_t number, uint64_t wanted, uint64_t got)
{
    uint64_t hart;
    __asm__ volatile("csrr %0, mhartid" : "=r"(hart));
    gcpt_console_lock();
    gcpt_printf("gcpt: hart %lu: CSR 0x%lx %s: wanted 0x%lx, got 0x%lx\n", hart, number,
                gcpt_csr_name((unsigned)number), wanted, got);
    gcpt_console_unlock();
}
