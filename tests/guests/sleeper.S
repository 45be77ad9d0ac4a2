// Hart 0 sleeps in a wfi and counts in a0 how often it was woken, by a software interrupt that it does not take. The other
// harts wake it. 5 instructions, then 4 a round.
        .option norvc
        .global _start
_start: csrr    t0, mhartid
        lui     t1, 0x2000              // msip of hart 0
        bnez    t0, 2f
        li      t2, 8                   // MSIE
        csrw    mie, t2
1:      wfi
        sw      zero, (t1)
        addi    a0, a0, 1
        j       1b

2:      li      t3, 1
        sw      t3, (t1)
        j       2b
