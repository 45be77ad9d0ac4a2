/*
 * A program in S mode that answers what is typed: it sleeps until the console interrupts, and prints each character with
 * its case changed. The last of HARTS harts runs it; the others sleep in M mode. IMSIC: the interrupt is a message of an
 * APLIC to the hart's interrupt file; else it comes from a PLIC. Loaded at the start of its link address, on QEMU's virt.
 */
#define UART        0x10000000
#define PLIC        0x0c000000
#define APLIC_M     0x0c000000
#define APLIC_S     0x0d000000
#define FILES_M     0x24000000
#define FILES_S     0x28000000
#define SOURCE      10              /* of the console */
#define HART        (HARTS - 1)
#define CONTEXT     (2 * HART + 1)  /* S mode of the hart */
#define SEI         (1 << 9)

    .global _start
_start:
    la      t0, trap
    csrw    mtvec, t0
    csrr    t0, mhartid
    li      t1, HART
    la      t2, asleep
    beq     t0, t1, 2f
    li      t3, 1
    amoadd.d zero, t3, (t2)
1:  wfi
    j       1b
2:  ld      t3, (t2)                /* no hart is in the machine's reset code when the checkpoint is taken */
    bne     t3, t1, 2b
    li      t0, -1
    csrw    pmpaddr0, t0
    li      t0, 0x1f
    csrw    pmpcfg0, t0
#if IMSIC
    li      t0, APLIC_M
    li      t1, FILES_M >> 12
    li      t2, 0x1bc0
    add     t2, t2, t0
    sw      t1, (t2)                /* mmsiaddrcfg */
    li      t1, 2 << 12
    sw      t1, 4(t2)               /* up to 4 harts; QEMU takes S mode's number from its own register */
    sw      t1, 12(t2)
    li      t1, FILES_S >> 12
    sw      t1, 8(t2)               /* smsiaddrcfg */
    li      t1, 1 << 10
    sw      t1, 4 * SOURCE(t0)      /* delegated */
#endif
    li      t0, SEI
    csrw    mideleg, t0
    csrw    sie, t0
    la      t0, handler
    csrw    stvec, t0
    li      t0, 3 << 11
    csrc    mstatus, t0
    li      t0, 1 << 11 | 1 << 1
    csrs    mstatus, t0
    la      t0, supervisor
    csrw    mepc, t0
    mret

supervisor:
#if IMSIC
    li      t0, 0xc0                /* eie0: not selected later, as sireg holds the selected register */
    csrw    0x150, t0
    li      t0, 1 << SOURCE
    csrw    0x151, t0
    li      t0, 0x70                /* eidelivery */
    csrw    0x150, t0
    csrwi   0x151, 1
    li      t0, APLIC_S
    li      t1, 6
    sw      t1, 4 * SOURCE(t0)      /* high level */
    li      t2, 0x3000
    add     t2, t2, t0
    li      t1, HART << 18 | SOURCE
    sw      t1, 4 * SOURCE(t2)
    li      t2, 0x1edc
    add     t2, t2, t0
    li      t1, SOURCE
    sw      t1, (t2)
    li      t1, 1 << 8 | 1 << 2
    sw      t1, (t0)
#else
    li      t0, PLIC
    li      t1, 1
    sw      t1, 4 * SOURCE(t0)
    li      t0, PLIC + 0x2000 + 0x80 * CONTEXT
    li      t1, 1 << SOURCE
    sw      t1, (t0)
#endif
    li      s0, UART
    li      t0, 1
    sb      t0, 2(s0)               /* FIFOs */
    sb      t0, 1(s0)               /* interrupt: data received */
    la      s1, ready
1:  lbu     t0, (s1)
    beqz    t0, 2f
    sb      t0, (s0)
    addi    s1, s1, 1
    j       1b
2:  wfi
    addi    s2, s2, 1
    j       2b

    .balign 4
trap:
    j       trap

    .balign 4
handler:
#if IMSIC
    csrrw   t3, 0x15c, zero         /* stopei */
#else
    li      t2, PLIC + 0x200004 + 0x1000 * CONTEXT
    lw      t3, (t2)
#endif
1:  lbu     t0, 5(s0)
    andi    t0, t0, 1
    beqz    t0, 2f
    lbu     t0, (s0)
    xori    t0, t0, 0x20
    sb      t0, (s0)
    j       1b
2:
#if !IMSIC
    sw      t3, (t2)
#endif
    sret

    .balign 8
asleep:
    .dword  0
ready:
    .asciz  "ready\n"
