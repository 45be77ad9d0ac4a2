/*
 * A workload with markers: a HINT, NEMU's traps 0x100 and 0x101 from one place, and a line on the console. Then it counts
 * in a loop and ends the run. Each marker is reached once more in vain: in another form before, and again after.
 *
 * Linked at 0x80100000, for QEMU's virt machine. Its trap handler skips the traps, which are illegal there.
 */
#define UART        0x10000000
#define FINISHER    0x100000
#define ROUNDS      100000

    .option norelax
    .option norvc
    .text
    .globl _start
_start:
    lla     t0, skip
    csrw    mtvec, t0
    li      s0, ROUNDS
1:  addi    s0, s0, -1
    bnez    s0, 1b
    lla     s1, not_ready
    jal     print
    slti    zero, zero, 6
    li      a0, 0x100
    jal     nemu_trap
    li      s0, ROUNDS
1:  addi    s0, s0, -1
    bnez    s0, 1b
    .globl hint
hint:
    slti    zero, zero, 7
    li      a0, 0x101
    jal     nemu_trap
    lla     s1, ready
    jal     print
    .globl printed
printed:
    li      s0, 0
    li      s1, 3 * ROUNDS
count:
    addi    s0, s0, 1
    bne     s0, s1, count
    slti    zero, zero, 7
    li      a0, 0x102
    jal     nemu_trap
    li      t0, FINISHER
    li      t1, 0x5555
    sw      t1, (t0)
    j       .

    .globl nemu_trap
nemu_trap:
    .insn r 0x6B, 0, 0, x0, x0, x0
    ret

print:
    li      t0, UART
1:  lbu     t1, (s1)
    beqz    t1, 2f
    sb      t1, (t0)
    .globl behind
behind:
    addi    s1, s1, 1
    j       1b
2:  ret

    .balign 4
skip:
    csrr    t0, mepc
    addi    t0, t0, 4
    csrw    mepc, t0
    mret

not_ready:
    .asciz  "not yet\n"
ready:
    .asciz  "it is ready\n"
