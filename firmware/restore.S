/*
 * The restore path: from a hart's block in memory to its registers. docs/restore-path.md goes through it step by step.
 *
 * Entered with mtvec = gcpt_trap and, where the layout is planned, s0 = this hart's block, s1 = struct gcpt_plan,
 * s2 = hart number. Does not return. Registers while it runs: s3 (direct: sp) = CSR window, s4 = planned: floating-point,
 * then integer registers, s1 = near the pc field (direct), s7 = PMP lock bits to look for, s8 = vlenb, s9 = skipped
 * registers, then 0 or the trampoline, a0-a3 and t registers = scratch, a4 and a5 = the trap handler's until gcpt_skip_end.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"
#include "restore_macros.h"
#include "gcpt_csrs.inc"

    .section .text.restore, "ax", %progbits
    .option arch, +d, +v, +h, +zifencei

/* place_bits high, low, at: bits high:low of a2 into a5 from bit `at` up. Clobbers a3. */
    .macro place_bits high, low, at
    slli    a3, a2, 63 - \high
    srli    a3, a3, 63 - \high + \low
    slli    a3, a3, \at
    or      a5, a5, a3
    .endm

/* touches base: to locked_out if the MiB at `base` and the units of 4 bytes from t1 up to t2 meet. Clobbers t3, t4. */
    .macro touches base
    srli    t3, \base, 2
    li      t4, GCPT_RESERVED_SIZE >> 2
    add     t4, t4, t3
    bgeu    t1, t4, 9f
    bltu    t3, t2, locked_out
9:
    .endm

/* set_vl_and_vtype: with vill in vtype, sets vill and vl = 0. Clears vstart. Clobbers a0, a1. */
    .macro set_vl_and_vtype
    load_csr a0, CSR_VL
    load_csr a1, CSR_VTYPE
    vsetvl  zero, a0, a1
    .endm

/* load_vector_registers: v0..v31 from a2, s8 bytes each. Clobbers a0, a2, a3. */
    .macro load_vector_registers
#if GCPT_FROM_FLASH
    /* A vector load from flash faults (NEMU): 8 registers at a time, shifted in 8 bytes after 8 bytes. */
    vsetvli zero, s8, e64, m8, ta, ma
    .irp n, 0,8,16,24
    mv      a3, s8
1:  ld      a0, (a2)
    addi    a2, a2, 8
    vslide1down.vx v\n, v\n, a0
    addi    a3, a3, -1
    bnez    a3, 1b
    .endr
#else
    slli    a3, s8, 3               /* bytes of 8 registers */
    vl8re8.v v0, (a2)
    add     a2, a2, a3
    vl8re8.v v8, (a2)
    add     a2, a2, a3
    vl8re8.v v16, (a2)
    add     a2, a2, a3
    vl8re8.v v24, (a2)
#endif
    .endm

    .global gcpt_restore, gcpt_skip_begin, gcpt_skip_end
gcpt_restore:
    li      s9, 0                   /* registers that this hart lacks: the trap handler counts them */
    li      a0, MSTATUS_FS | MSTATUS_VS
    csrs    mstatus, a0
#if GCPT_CSRS_PMP16
    ld      s7, pmp_locks           /* until the locks in the checkpoint's PMP have been looked into */
#endif
gcpt_skip_begin:
    csrs_before_vector

#if GCPT_CSRS_V
    /* Vector registers, before vstart and vcsr: vsetvl clears vstart. */
    csr_window CSR_VLENB
    load_csr a1, CSR_VLENB
    li      s8, -1                  /* stays on a hart without V */
    csrr    s8, CSR_VLENB
    bne     s8, a1, vlen_differs
vlen_same:
#if !GCPT_FROM_FLASH
    set_vl_and_vtype                /* clears vstart, at which whole-register loads would start */
#endif
    field_address a2, FIELD(vector_reg)
    load_vector_registers
#if GCPT_FROM_FLASH
    set_vl_and_vtype                /* after the vsetvli of the loads */
#endif
vector_done:
#endif

#if GCPT_DIRECT
    field_address sp, FIELD(float_reg)      /* loads from sp are 2 bytes long */
#define FLOAT_BASE sp
#else
    field_address s4, FIELD(float_reg)
#define FLOAT_BASE s4
#endif
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, 8 * \n(FLOAT_BASE)
    .endr
    csrs_after_vector

    /* Time: all harts meet, the last writes mtime, and only then compare values count. */
#if GCPT_DIRECT
    field_address s1, FIELD(pc), NEAR_PC
    load_field a0, FIELD(mtime)
    write_mtime
#else
    jal     gcpt_meet
#endif
    csrs_timer
    /* What mip says of the software interrupt, which lives in the CLINT. */
    load_csr a0, CSR_MIP
    srli    a0, a0, 3
    andi    a0, a0, 1
#if GCPT_DIRECT
    li      a1, GCPT_CLINT
    sw      a0, GCPT_CLINT_MSIP(a1)
    load_field a0, FIELD(mtime_cmp)
    store_double a0, GCPT_CLINT + GCPT_CLINT_MTIMECMP, a1
#else
    li      a1, GCPT_CLINT + GCPT_CLINT_MSIP
    slli    a2, s2, 2
    add     a1, a1, a2
    sw      a0, (a1)
    field_address a2, FIELD(mtime_cmp)
    slli    a3, s2, 3
    add     a2, a2, a3
    ld      a0, (a2)                /* in hart h's own block, at + 8h all the same */
    li      a1, GCPT_CLINT + GCPT_CLINT_MTIMECMP
    add     a1, a1, a3
    sd      a0, (a1)
    field_address s4, FIELD(int_reg)
#endif
    csrs_lock
    sfence.vma                      /* PMP; of guests nothing is cached, none has run since reset */
#if GCPT_SELFCHECK
    mv      s5, s9
    csrs_check
    mv      s9, s5                  /* a lacking register counts once */
#endif
gcpt_skip_end:

    /* Nothing from here on traps; what a trap clobbers goes in now. */
    csrs_last
    bnez    s9, note_skipped
skipped_noted:
    load_field a1, FIELD(mode)
    load_field a2, FIELD(pc)
    load_csr a0, CSR_MSTATUS
    srli    a4, a0, 11
    andi    a4, a4, 3 | MSTATUS_MPRV >> 11
    bne     a4, a1, not_prepared    /* MPP is the mode and MPRV clear, unless the hart was left in M mode */
    srli    a4, a1, 1
    bnez    a4, prepared_for_m
#define INT_BIAS 256                /* of sp to the integer registers: all in reach of loads of 2 bytes */
leave_by_mret:
    csrw    mepc, a2
    andi    a0, a0, ~MSTATUS_MIE    /* mret sets it from MPIE; until then, nothing may interrupt */
leave:                              /* s9 = 0, or the trampoline */
    load_csr a3, CSR_MTVEC
    csrw    mtvec, a3
    csrw    mstatus, a0
#if GCPT_SELFCHECK
    mv      s6, a0
    csrs_check_last
    csrr    a2, mstatus
    beq     a2, s6, 1f
    li      a0, CSR_MSTATUS
    mv      a1, s6
    call    gcpt_report_difference
1:
#endif
#if GCPT_DIRECT
    addi    sp, s1, LAYOUT_int_reg - INT_BIAS - LAYOUT_pc - NEAR_PC
#else
    addi    sp, s4, -INT_BIAS
#endif
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,26,27,28,29,30,31
    ld      x\n, INT_BIAS + 8 * \n(sp)
    .endr
    bnez    s9, 1f
    ld      s9, INT_BIAS + 8 * 25(sp)
    ld      sp, INT_BIAS + 8 * 2(sp)
    mret
1:  jr      s9

/*
 * M mode. Where the generator prepared an mret (mepc = pc and MPP = M, as NEMU does), it is that. Else mret would lose
 * mepc, MPP, MPIE and MIE, and the way out is a jump that needs no register: a trampoline in the last bytes of the
 * reserved MiB, one for each hart, h * GCPT_TRAMPOLINE_SIZE below its end (from flash: in the memory of ram=):
 *    0  c.ldsp s9, 456(sp)    2  c.ldsp sp, 272(sp)    4  set MIE, or a nop    8  jal zero, pc
 * a0 = mstatus, a1 = mode, a2 = pc.
 */
prepared_for_m:                     /* by its MPP; the mode is 2, which does not exist, or 3 */
    load_csr a4, CSR_MEPC
    andi    a3, a1, 1
    beqz    a3, bad_state
    beq     a4, a2, leave_by_mret
not_prepared:
    load_csr a4, CSR_MEPC
    li      a3, 3
    bne     a1, a3, bad_state
    csrw    mepc, a4
    srli    a5, a0, 17
    andi    a5, a5, 1
    bnez    a5, bad_mprv            /* would send the loads above through the workload's translation */
#if GCPT_FROM_FLASH && !GCPT_RAM
    j       out_of_reach            /* the reserved MiB is in flash, and all of memory the workload's */
#else
#if GCPT_RAM
    lla     s9, gcpt_trampolines
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    add     s9, s9, a4
#else
    li      s9, GCPT_TRAMPOLINE_END - GCPT_TRAMPOLINE_SIZE
#if !GCPT_DIRECT
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    sub     s9, s9, a4
#endif
#endif
    addi    a4, s9, 8
    sub     a2, a2, a4              /* the distance that jal goes */
    srai    a3, a2, 20
    srai    a5, a2, 63
    bne     a3, a5, out_of_reach
    li      a5, 0x6f                /* jal zero, with its immediate in pieces: 20, 10:1, 11, 19:12 from bit 31 down */
    place_bits 20, 20, 31
    place_bits 10, 1, 21
    place_bits 11, 11, 20
    place_bits 19, 12, 12
    sw      a5, (a4)
    li      a3, 0x61526cbe          /* c.ldsp sp, 272(sp); c.ldsp s9, 456(sp) */
    sw      a3, -8(a4)
    li      a3, 0x00000013          /* nop */
    andi    a5, a0, MSTATUS_MIE
    beqz    a5, 1f
    li      a3, 0x30046073          /* csrsi mstatus, MIE */
    xor     a0, a0, a5
1:  sw      a3, -4(a4)
    fence.i
    j       leave
#endif

out_of_reach:
#if GCPT_EXACT
    li      a0, GCPT_CODE_M_MODE_JUMP
    j       fail
#else
    /* An mret after all, and it is said what that loses. */
    li      a0, GCPT_CODE_M_MODE_LOSS
    jal     gcpt_note
    li      s9, 0
    load_field a2, FIELD(pc)
    load_csr a0, CSR_MSTATUS
    andi    a1, a0, MSTATUS_MIE
    li      a3, MSTATUS_MPP | MSTATUS_MPIE
    or      a0, a0, a3
    bnez    a1, 1f
    xori    a0, a0, MSTATUS_MPIE
1:  j       leave_by_mret
#endif

/* s9 registers were skipped: the first word of the free part of the block says so, unless that is flash or not there. */
note_skipped:
    mv      a3, s9
    li      s9, 0
#if !GCPT_DIRECT
    ld      a1, FIELD(misc_reserve)(s1)
    beqz    a1, skipped_noted
#endif
    field_address a1, FIELD(misc_reserve)
    li      a2, GCPT_DRAM
    bltu    a1, a2, skipped_noted
    sd      a3, (a1)
    j       skipped_noted

#if GCPT_CSRS_V
/*
 * The checkpoint's vlenb (a1) is not the hart's (s8). 0 was not written: 128 bits. Where the checkpoint has VS Off,
 * there is no vector state to put back.
 */
vlen_differs:
    bnez    a1, 1f
    li      a1, GCPT_DEFAULT_VLENB
    beq     s8, a1, vlen_same
1:
#if GCPT_DIRECT
    ld      a2, gcpt_base + LAYOUT_csr_reg + 8 * CSR_MSTATUS
#else
    field_address a2, FIELD(csr_reg), 8 * CSR_MSTATUS
    ld      a2, (a2)
#endif
    andi    a2, a2, MSTATUS_VS
    beqz    a2, vector_done
    li      a0, GCPT_CODE_VLEN
    j       fail
#endif
bad_mprv:
    li      a0, GCPT_CODE_M_MODE_MPRV
    j       fail
bad_state:
    li      a0, GCPT_CODE_BAD_STATE
fail:
    j       gcpt_fail

#if GCPT_CSRS_PMP16
/*
 * look_at_locks: an entry of the checkpoint's PMP is locked, and so will bind M mode. Ends the run when a locked entry
 * that forbids reading or executing touches the restorer or this hart's block; else s7 = 0 and returns. Entries before it
 * that would allow the access do not count. Clobbers a0-a5, t0-t4.
 */
look_at_locks:
    field_address a0, FIELD(csr_reg), 8 * CSR_PMPCFG0
    addi    a1, a0, 8 * (CSR_PMPADDR0 - CSR_PMPCFG0)
    li      a2, 0                   /* entry */
    li      a3, 0                   /* address of the entry before; addresses are in units of 4 bytes */
1:  ld      a4, (a1)
    slli    a4, a4, 10
    srli    a4, a4, 10
    lb      a5, (a0)                /* L is the sign */
    bgez    a5, 3f
    andi    t0, a5, 5               /* X, R */
    addi    t0, t0, -5
    beqz    t0, 3f
    srli    a5, a5, 3
    andi    a5, a5, 3
    beqz    a5, 3f                  /* OFF */
    mv      t1, a3                  /* TOR: from t1 up to t2 */
    mv      t2, a4
    addi    a5, a5, -1
    beqz    a5, 2f
    mv      t1, a4                  /* NA4 */
    addi    t2, a4, 1
    addi    a5, a5, -1
    beqz    a5, 2f
    xor     t2, t2, a4              /* NAPOT: the trailing ones and the zero above them are the size */
    or      t1, a4, t2
    xor     t1, t1, t2
    add     t2, t2, t1
    addi    t2, t2, 1
2:  lla     t0, gcpt_base
    touches t0
#if !GCPT_DIRECT
    touches s0
    touches s4                      /* the integer registers, from where a header says, are read after mtvec is written */
#endif
3:  mv      a3, a4
    addi    a0, a0, 1
    addi    a1, a1, 8
    addi    a2, a2, 1
    andi    a5, a2, 7
    bnez    a5, 4f
    addi    a0, a0, 8               /* an odd pmpcfg does not exist */
4:  li      t0, GCPT_PMP_ENTRIES
    bltu    a2, t0, 1b
    li      s7, 0
    ret
locked_out:
    li      a0, GCPT_CODE_PMP
    j       fail

    .section .rodata.pmp_locks, "a", %progbits
    .balign 8
pmp_locks:
    .dword 0x8080808080808080
#endif
