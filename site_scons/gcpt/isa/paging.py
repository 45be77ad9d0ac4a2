"""What page tables are made of (privileged specification 12.3)."""

#: Bytes of a page, and of a page table. Formats that leave out zeros do so by pages too.
PAGE_SIZE = 1 << 12
#: Bytes of the root of a guest's page tables (hgatp).
GUEST_ROOT_SIZE = 4 * PAGE_SIZE
