/*
 * A workload that tests stop at any instruction. It computes a checksum with integer, floating-point and vector
 * registers and waits for a timer interrupt after each round. A lost register changes the sum; a lost timer stops it
 * forever. It prints a dot each round, then sum=..., and ends the run.
 *
 * Linked at 0x80100000, for QEMU's virt machine. U-mode code runs at its address + ALIAS, where pages have the U bit.
 *
 * Macros: INTERVAL: ticks between interrupts. LEVEL: 0 U, 1 S, 3 M. VIRTUAL: 1 for V = 1 with an hgatp. SV: 0, 39, 48.
 * ENDLESS: 1 to start over until something was typed.
 */
#define UART        0x10000000
#define FINISHER    0x100000
#define MTIMECMP    0x2004000
#define MTIME       0x200bff8
#define ALIAS       0x100000000
#define ROUNDS      24
#define ITERATIONS  4000

    .option norelax
    .text
    .globl _start
_start:
    csrr    t0, mhartid
    bnez    t0, park
    lla     t0, broken
    csrw    mtvec, t0
    li      t0, -1
    csrw    pmpaddr0, t0
    csrw    mcounteren, t0
    csrw    scounteren, t0
    li      t0, 0x1f
    csrw    pmpcfg0, t0
    li      t0, 0x6600              /* FS, VS on */
    csrs    mstatus, t0
    csrr    s1, time
    li      t0, INTERVAL
    add     s1, s1, t0
    lla     s2, worker
#if LEVEL == 3
    lla     t0, m_timer
    csrw    mtvec, t0
    li      t0, MTIMECMP
    sd      s1, (t0)
    lla     t0, save
    csrw    mscratch, t0
    li      t0, 0x80
    csrw    mie, t0
    csrsi   mstatus, 8
    jr      s2
#else
    li      t0, 1 << 63             /* STCE */
    csrw    0x30a, t0
    li      t0, 0x222
    csrw    mideleg, t0
    li      t0, (LEVEL << 11)
#if VIRTUAL
    li      t1, 1 << 63             /* henvcfg: STCE */
    csrw    0x60a, t1
    li      t1, -1
    csrw    0x606, t1               /* hcounteren */
    li      t1, 0x444
    csrw    0x603, t1               /* hideleg */
    lla     t1, guest_root
    srli    t1, t1, 12
    li      t2, 8 << 60             /* Sv39x4 */
    or      t1, t1, t2
    csrw    0x680, t1
    li      t1, 1 << 39             /* MPV */
    or      t0, t0, t1
    li      t1, 0x6602              /* SIE, FS, VS */
    csrw    0x200, t1
    li      t1, 0x20                /* vsie.STIE */
    csrw    0x204, t1
    csrw    0x24d, s1
    lla     t1, s_timer
    csrw    0x205, t1
#define SATP 0x280
    lla     t1, save
    csrw    0x240, t1
#else
    ori     t0, t0, 2               /* SIE */
    li      t1, 0x20
    csrw    mie, t1
    csrw    0x14d, s1
    lla     t1, s_timer
    csrw    stvec, t1
#define SATP 0x180
    lla     t1, save
    csrw    sscratch, t1
#endif
    csrs    mstatus, t0
#if SV
    lla     t1, root
#if SV == 48
    srli    t1, t1, 2
    ori     t1, t1, 1
    lla     t2, root48
    sd      t1, (t2)
    mv      t1, t2
#endif
    srli    t1, t1, 12
    li      t2, (SV - 39 + 72) / 9 << 60
    or      t1, t1, t2
    csrw    SATP, t1
#endif
#if LEVEL == 0
    li      t1, ALIAS
    add     s2, s2, t1
#endif
    csrw    mepc, s2
    mret
#endif

    .balign 4
broken:
    li      t0, FINISHER
    li      t1, 0x633333
    sw      t1, (t0)
park:
    wfi
    j       park

#if LEVEL == 3
    .balign 4
m_timer:
    csrrw   sp, mscratch, sp
    sd      t0, (sp)
    sd      t1, 8(sp)
    csrr    t0, mcause
    bgez    t0, broken
    li      t0, MTIME
    ld      t0, (t0)
    li      t1, INTERVAL
    add     t0, t0, t1
    li      t1, MTIMECMP
    sd      t0, (t1)
    lla     t0, ticks
    ld      t1, (t0)
    addi    t1, t1, 1
    sd      t1, (t0)
    ld      t0, (sp)
    ld      t1, 8(sp)
    csrrw   sp, mscratch, sp
    mret
#else
    .balign 4
s_timer:
    csrrw   sp, sscratch, sp
    sd      t0, (sp)
    sd      t1, 8(sp)
    csrr    t0, scause
    bgez    t0, broken
    csrr    t0, time
    li      t1, INTERVAL
    add     t0, t0, t1
    csrw    0x14d, t0
    lla     t0, ticks
    ld      t1, (t0)
    addi    t1, t1, 1
    sd      t1, (t0)
    ld      t0, (sp)
    ld      t1, 8(sp)
    csrrw   sp, sscratch, sp
    sret
#endif

/*
 * a0 = sum, a1 = multiplier, a2 = increment, s3 = round, s4 = iterations left, s5 = offset of the devices, fa0-fa4 and
 * v8-v31 = parts of the sum. Clobbers t0-t2, a3, a4.
 */
worker:
    li      s5, 0
#if LEVEL == 0
    li      s5, ALIAS
#endif
    li      a0, 1
    li      a1, 6364136223846793005
    li      a2, 1442695040888963407
    li      t0, 3
    fcvt.d.l fa1, t0
    li      t0, 7
    fcvt.d.l fa2, t0
    fmv.d.x fa0, zero
    fsrmi   1                       /* round towards zero: another rounding mode changes the sum */
    vsetvli t0, zero, e64, m8, ta, ma
    vid.v   v8
    vid.v   v16
    vmv.v.i v24, 3
    li      s3, 0
round:
    li      s4, ITERATIONS
1:  mul     a0, a0, a1
    add     a0, a0, a2
    fcvt.d.lu fa3, a0
    fdiv.d  fa4, fa3, fa2
    fmadd.d fa0, fa0, fa1, fa4
    fmv.x.d t0, fa0
    srli    t1, t0, 52
    andi    t1, t1, 0x7ff
    li      t2, 1500                /* before it overflows */
    bltu    t1, t2, 2f
    fmv.d.x fa0, zero
2:  xor     a0, a0, t0
    vmacc.vv v8, v16, v24
    vxor.vx v16, v16, a0
    addi    s4, s4, -1
    bnez    s4, 1b
    vredxor.vs v24, v8, v24
    vmv.x.s t0, v24
    xor     a0, a0, t0
    li      t0, UART
    add     t0, t0, s5
    li      t1, '.'
    sb      t1, (t0)
3:  lla     t0, ticks
    ld      t0, (t0)
    ble     t0, s3, 3b
    addi    s3, s3, 1
    li      t0, ROUNDS
    bne     s3, t0, round

    lla     a3, text                /* ends with its only '=' */
    li      t0, UART
    add     t0, t0, s5
1:  lbu     t1, (a3)
    addi    a3, a3, 1
    sb      t1, (t0)
    li      t2, '='
    bne     t1, t2, 1b
    li      a4, 64
2:  addi    a4, a4, -4
    srl     t1, a0, a4
    andi    t1, t1, 15
    addi    t1, t1, 'a'
    sb      t1, (t0)
    bnez    a4, 2b
    li      t1, '\n'
    sb      t1, (t0)
#if ENDLESS
    lbu     t1, 5(t0)               /* the UART's line status: data ready */
    andi    t1, t1, 1
    lla     t0, ticks
    sd      zero, (t0)
    beqz    t1, worker
#endif
    li      t0, FINISHER
    add     t0, t0, s5
    li      t1, 0x5555
    sw      t1, (t0)
4:  j       4b

text:   .ascii "sum="

    .data
    .balign 16384
guest_root:                         /* Sv39x4, 2048 entries: identity mapping with U = 1, as guests need */
    .set gigabyte, 0
    .rept 8
    .dword gigabyte << 28 | 0xdf
    .set gigabyte, gigabyte + 1
    .endr
    .zero 16384 - 64
root:                               /* 1 GiB each: devices, -, memory; from ALIAS the same with U = 1 */
    .dword 0xcf, 0, 0x20000000 | 0xcf, 0, 0xdf, 0, 0x20000000 | 0xdf
    .balign 4096
root48:                             /* code writes entry 0 (root): no relocation can shift */
    .zero 4096
save:   .dword 0, 0
ticks:  .dword 0
