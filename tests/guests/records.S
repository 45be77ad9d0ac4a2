// Record control transfers (Smctr) in S mode: at "loop" two jumps a round begin.
        .option norvc
        .global _start, loop
_start: la      t0, loop
        csrw    mepc, t0
        la      t0, vector
        csrw    mtvec, t0
        li      t1, -1                  // PMP: all memory
        csrw    pmpaddr0, t1
        csrwi   pmpcfg0, 0x1f
        li      t1, 1 << 11             // mstatus.MPP is S
        csrw    mstatus, t1
        li      t2, 3                   // S and U
        csrw    0x34e, t2               // mctrctl
        mret
loop:   j       1f
        nop
1:      j       loop
vector: j       .
