"""Facts of the RISC-V architecture: CSRs and their fields, mstatus, PMP, paging. Imports no other room."""
