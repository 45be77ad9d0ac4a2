/* Names of CSRs, from the inventory (site_scons/gcpt/isa/csrs.py). */
#ifndef GCPT_CSR_NAMES_H
#define GCPT_CSR_NAMES_H

/* The name of CSR `number`, or "" if the inventory lacks it. */
const char *gcpt_csr_name(unsigned number);

#endif
