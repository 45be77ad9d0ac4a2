// Set breakpoints in S mode by both triggers of QEMU's harts, select the first one, and stay at "end".
        .global _start, end
_start: li      t0, 1
        csrw    tselect, t0
        li      t1, -0x1000
        csrw    tdata2, t1
        li      t2, 0x2000000000000014  // type 2, S mode, execute
        csrw    tdata1, t2
        csrw    tselect, zero
        addi    t1, t1, 8
        csrw    tdata2, t1
        csrw    tdata1, t2
end:    j       end
