"""What the architecture says: CSRs and their fields, mstatus, PMP, paging. Uses nothing else of the package."""
