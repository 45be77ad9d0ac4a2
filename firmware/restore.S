/*
 * The restore path: from a hart's block in memory to its registers. docs/restore-path.md goes through it step by step.
 *
 * Entered with mtvec = gcpt_trap and, where the layout is planned, s0 = this hart's block, s1 = struct gcpt_plan,
 * s2 = hart number. Does not return. Registers while it runs: s3 (direct: sp) = CSR window, s4 = floating-point, then
 * integer registers, s5 = pc field (direct), s8 = vlenb, t registers = scratch, s10 and s11 = the trap handler's.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"
#include "restore_macros.h"
#include "gcpt_csrs.inc"

    .section .text.restore, "ax", %progbits
    .option arch, +d, +v, +h, +zifencei

/* place_bits high, low, at: bits high:low of t2 into t5 from bit `at` up. Clobbers t3. */
    .macro place_bits high, low, at
    slli    t3, t2, 63 - \high
    srli    t3, t3, 63 - \high + \low
    slli    t3, t3, \at
    or      t5, t5, t3
    .endm

    .global gcpt_restore, gcpt_skip_begin, gcpt_skip_end
gcpt_restore:
    li      t0, MSTATUS_FS | MSTATUS_VS
    csrs    mstatus, t0
gcpt_skip_begin:
    csrs_before_vector

#if GCPT_CSRS_V
    /* Vector registers, before vstart and vcsr: vsetvl clears vstart, and whole-register loads start at vstart. */
    csr_window CSR_VLENB
    load_csr t1, CSR_VLENB
    li      s8, -1                  /* stays on a hart without V */
    csrr    s8, CSR_VLENB
    bne     s8, t1, vlen_differs
vlen_same:
    csrw    CSR_VSTART, zero
    field_address t2, FIELD(vector_reg)
    slli    t3, s8, 3               /* bytes of 8 registers */
    vl8re8.v v0, (t2)
    add     t2, t2, t3
    vl8re8.v v8, (t2)
    add     t2, t2, t3
    vl8re8.v v16, (t2)
    add     t2, t2, t3
    vl8re8.v v24, (t2)
    load_csr t0, CSR_VL
    load_csr t1, CSR_VTYPE
    vsetvl  zero, t0, t1            /* with vill in vtype: sets vill and vl = 0 */
vector_done:
#endif

    field_address s4, FIELD(float_reg)
    .option push
    .option norvc
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, 8 * \n(s4)
    .endr
    .option pop
    csrs_after_vector
    sfence.vma
#if GCPT_CSRS_H
    hfence.gvma
#endif

    /* Time: all harts meet, the last writes mtime, and only then compare values count. */
#if GCPT_DIRECT
    field_address s5, FIELD(pc)
    load_field t0, FIELD(mtime)
    write_mtime
#else
    jal     gcpt_meet
#endif
    csrs_timer
    /* What mip says of the software interrupt, which lives in the CLINT. */
    load_csr t0, CSR_MIP
    srli    t0, t0, 3
    andi    t0, t0, 1
#if GCPT_DIRECT
    li      t1, GCPT_CLINT
    sw      t0, GCPT_CLINT_MSIP(t1)
    load_field t0, FIELD(mtime_cmp)
    store_double t0, GCPT_CLINT + GCPT_CLINT_MTIMECMP, t1
#else
    li      t1, GCPT_CLINT + GCPT_CLINT_MSIP
    slli    t2, s2, 2
    add     t1, t1, t2
    sw      t0, (t1)
    field_address t2, FIELD(mtime_cmp)
    slli    t3, s2, 3
    add     t2, t2, t3
    ld      t0, (t2)                /* in hart h's own block, at + 8h all the same */
    li      t1, GCPT_CLINT + GCPT_CLINT_MTIMECMP
    add     t1, t1, t3
    sd      t0, (t1)
    field_address s4, FIELD(int_reg)
#endif
gcpt_skip_end:

    /* Nothing from here on traps; what a trap clobbers goes in now. */
    csrs_last
    load_field t1, FIELD(mode)
    load_field t2, FIELD(pc)
    load_csr t0, CSR_MSTATUS
    li      t3, 3
    beq     t1, t3, machine_mode
leave_by_mret:
    csrw    mepc, t2
    li      t6, 0
leave:
    load_csr t3, CSR_MTVEC
    csrw    mtvec, t3
    csrw    mstatus, t0
#if GCPT_DIRECT
    addi    sp, s4, LAYOUT_int_reg - LAYOUT_float_reg
#else
    mv      sp, s4
#endif
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30
    ld      x\n, 8 * \n(sp)
    .endr
    bnez    t6, 1f
    ld      t6, 8 * 31(sp)
    ld      sp, 8 * 2(sp)
    mret
1:  jr      t6

/*
 * M mode. Where the generator prepared an mret (mepc = pc and MPP = M, as NEMU does), it is that. Else mret would lose
 * mepc, MPP, MPIE and MIE, and the way out is a jump that needs no register: a trampoline in the last bytes of the
 * reserved MiB, one for each hart, h * GCPT_TRAMPOLINE_SIZE below its end:
 *    0  c.ldsp t6, 8 * 31(sp)    2  c.ldsp sp, 8 * 2(sp)    4  set MIE, or a nop    8  jal zero, pc
 * t0 = mstatus, t2 = pc, t3 = 3.
 */
machine_mode:
    load_csr t4, CSR_MEPC
    bne     t4, t2, 1f
    srli    t5, t0, 11
    andi    t5, t5, 3
    beq     t5, t3, leave_by_mret
1:  csrw    mepc, t4
    li      a0, GCPT_CODE_M_MODE_MPRV
    li      t4, MSTATUS_MPRV        /* would send the loads above through the workload's translation */
    and     t4, t4, t0
    bnez    t4, fail
    li      t6, GCPT_TRAMPOLINE_END - GCPT_TRAMPOLINE_SIZE
#if !GCPT_DIRECT
    slli    t4, s2, GCPT_TRAMPOLINE_SHIFT
    sub     t6, t6, t4
#endif
    li      t3, 0x61427fee          /* c.ldsp sp, 16(sp); c.ldsp t6, 248(sp) */
    sw      t3, (t6)
    li      t3, 0x00000013          /* nop */
    andi    t5, t0, MSTATUS_MIE
    beqz    t5, 1f
    li      t3, 0x30046073          /* csrsi mstatus, MIE */
    xor     t0, t0, t5
1:  sw      t3, 4(t6)
    addi    t4, t6, 8
    sub     t2, t2, t4              /* the distance that jal goes */
    li      a0, GCPT_CODE_M_MODE_JUMP
    srai    t3, t2, 20
    srai    t5, t2, 63
    bne     t3, t5, fail
    li      t5, 0x6f                /* jal zero, with its immediate in pieces: 20, 10:1, 11, 19:12 from bit 31 down */
    place_bits 20, 20, 31
    place_bits 10, 1, 21
    place_bits 11, 11, 20
    place_bits 19, 12, 12
    sw      t5, (t4)
    fence.i
    j       leave

#if GCPT_CSRS_V
/*
 * The checkpoint's vlenb (t1) is not the hart's (s8). 0 was not written: 128 bits. Where the checkpoint has VS Off,
 * there is no vector state to put back.
 */
vlen_differs:
    bnez    t1, 1f
    li      t1, GCPT_DEFAULT_VLENB
    beq     s8, t1, vlen_same
1:  field_address t2, FIELD(csr_reg), 8 * CSR_MSTATUS
    ld      t2, (t2)
    andi    t2, t2, MSTATUS_VS
    beqz    t2, vector_done
    li      a0, GCPT_CODE_VLEN
    /* fall through */
#endif
fail:
    j       gcpt_fail
