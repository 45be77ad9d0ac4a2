// Each hart counts in S mode: 12 instructions up to its loop, then 2 a round, counted in a0.
        .option norvc
        .global _start
_start: auipc   t0, 0
        addi    t0, t0, 48              // the loop
        csrw    mepc, t0
        addi    t0, t0, 8
        csrw    mtvec, t0
        li      t1, -1                  // PMP: all memory
        csrw    pmpaddr0, t1
        csrwi   pmpcfg0, 0x1f
        srli    t1, t1, 63
        slli    t1, t1, 11              // mstatus.MPP is S
        csrw    mstatus, t1
        mret
1:      addi    a0, a0, 1
        j       1b
        j       .
