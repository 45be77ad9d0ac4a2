"""Sizes of pages and page tables (privileged specification 12.3)."""

#: Bytes of a page, and of a page table. ELF and hex images leave out zeros in units of it too.
PAGE_SIZE = 1 << 12
#: Bytes of the root page table that hgatp points to.
GUEST_ROOT_SIZE = 4 * PAGE_SIZE
