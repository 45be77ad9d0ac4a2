/* The inventory's names of CSRs, for those who print them. */
#ifndef GCPT_CSR_NAMES_H
#define GCPT_CSR_NAMES_H

/* The name of the CSR, "" where the inventory has none. */
const char *gcpt_csr_name(unsigned number);

#endif
