/*
 * The restore path: from a hart's block in memory to its registers. docs/restore-path.md goes through it step by step.
 *
 * Entered with mtvec = gcpt_trap and, where the layout is planned, s0 = this hart's block, s1 = struct gcpt_plan,
 * s2 = hart number. Does not return. Registers while it runs: s3 (direct: sp) = CSR window, s4 = planned: floating-point,
 * then integer registers, s1 = near the pc field (direct), s7 = PMP lock bits to look for, s8 = vlenb, s9 = skipped
 * registers, from the meeting on s6, s8, s10, s11 = how it leaves, a0-a3 and t registers = scratch, a4 and a5 = the trap handler's until gcpt_skip_end.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"
#include "restore_macros.h"
#include "gcpt_csrs.inc"

    .section .text.restore, "ax", %progbits
    .option arch, +d, +v, +h, +zifencei

/* touches base: to locked_out if the MiB at `base` meets the units of 4 bytes from a1 to a2. Clobbers a0, t4. */
    .macro touches base
    srli    a0, \base, 2
    li      t4, GCPT_RESERVED_SIZE >> 2
    add     t4, t4, a0
    bgeu    a1, t4, 9f
    bgeu    a2, a0, locked_out
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
#if !GCPT_CSRS_V
    li      s8, 0
#endif
    li      a0, MSTATUS_FS | MSTATUS_VS
    csrw    mstatus, a0             /* and no interrupt, whatever was enabled before */
#if GCPT_CSRS_PMP16
    ld      s7, pmp_locks           /* until the locks in the checkpoint's PMP have been looked into */
#endif
gcpt_skip_begin:
    csrs_before_vector

#if GCPT_CSRS_V
    /* Vector registers, before vstart and vcsr: vsetvl clears vstart. */
vector_registers:
    csr_window CSR_VLENB
    load_csr a1, CSR_VLENB
    li      s8, 1                   /* stays on a hart without V */
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
#endif

float_registers:
#if GCPT_DIRECT
    field_address sp, FIELD(float_reg)      /* loads from sp are 2 bytes long */
    .set    window, (LAYOUT_float_reg - LAYOUT_csr_reg) / 8
#define FLOAT_BASE sp
#else
    field_address s4, FIELD(float_reg)
#define FLOAT_BASE s4
#endif
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, 8 * \n(FLOAT_BASE)
    .endr
supervisor_csrs:
    csrs_after_vector

    /* Time: all harts meet, the last writes mtime, and only then compare values count. */
meeting:
#if GCPT_DIRECT
    field_address s1, FIELD(pc), NEAR_PC
    load_field a0, FIELD(mtime)
    write_mtime
#else
    jal     gcpt_meet
#endif
timers:
#if GCPT_CSRS_SDTRIG
    /* A trigger that counts in M mode could fire on the way, and then in the trap handler too, for ever. */
    field_address a0, FIELD(csr_reg), 8 * CSR_TDATA1
    ld      a0, (a0)
    srli    a1, a0, 60              /* type: 2 and 6 have m in bit 6, 3 to 5 in bit 9 */
    li      a2, 1 << 6
    addi    a3, a1, -2
    beqz    a3, 2f
    addi    a3, a1, -6
    beqz    a3, 2f
    li      a2, 1 << 9
    addi    a3, a1, -5
    bgtz    a3, 3f
    addi    a3, a1, -3
    bltz    a3, 3f
2:  and     a2, a2, a0
    bnez    a2, trigger_in_m
3:
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
    /*
     * How the hart will leave, found out while console and finisher are within reach: s8 = the trampoline's
     * complement or not negative, s10 = mepc, s11 = mstatus, s6 = mtvec.
     */
way_out:
    load_csr s6, CSR_MTVEC
#if GCPT_DIRECT
    srli    a3, s5, 20
#else
    auipc   a3, 0
    srli    a3, a3, 20
#endif
    srli    a4, s6, 20
    beq     a4, a3, restarts        /* in the restorer's MiB: each trap would begin the restore again */
    load_field a1, FIELD(mode)
    load_field s10, FIELD(pc)
    load_csr a0, CSR_MSTATUS
    srli    a4, a0, 11
    andi    a4, a4, 3 | MSTATUS_MPRV >> 11
    bne     a4, a1, not_prepared    /* MPP is the mode and MPRV clear, unless the hart was left in M mode */
    addi    a4, a1, -2
    bgez    a4, prepared_for_m
leave_by_mret:
    andi    s11, a0, ~MSTATUS_MIE   /* mret sets it from MPIE; until then, nothing may interrupt */
prepared:
#if GCPT_CSRS_SMEPMP
    /* With MML or MMWP set, M mode executes only where a rule of the workload's lets it. */
    field_address a0, FIELD(csr_reg), 8 * CSR_MSECCFG
    ld      a0, (a0)
    andi    a0, a0, 3
    bnez    a0, locked_out
#endif
    /* No check and no message after this, but selfcheck's: PMP may bind M mode too. */
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
#define INT_BIAS 256                /* of sp to the integer registers: all in reach of loads of 2 bytes */
    csrw    mepc, s10
    csrw    mtvec, s6
    csrw    mstatus, s11
#if GCPT_SELFCHECK
    csrs_check_last
    csrr    a2, mstatus
    beq     a2, s11, 1f
    li      a0, CSR_MSTATUS
    mv      a1, s11
    call    gcpt_report_difference
1:
#endif
integer_registers:
#if GCPT_DIRECT
    addi    sp, s1, LAYOUT_int_reg - INT_BIAS - LAYOUT_pc - NEAR_PC
#else
    addi    sp, s4, -INT_BIAS
#endif
    .irp n, 1,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,25,26,27,28,29,30,31
    ld      x\n, INT_BIAS + 8 * \n(sp)
    .endr
leave:
    bltz    s8, 1f
    ld      s8, INT_BIAS + 8 * 24(sp)
    ld      sp, INT_BIAS + 8 * 2(sp)
    mret
1:  not     s8, s8
    jr      s8

/*
 * M mode. Where the generator prepared an mret (mepc = pc and MPP = M, as NEMU does), it is that. Else mret would lose
 * mepc, MPP, MPIE and MIE, and the way out is a jump that needs no register: a trampoline in the last bytes of the
 * reserved MiB, one for each hart, h * GCPT_TRAMPOLINE_SIZE below its end (from flash: in the memory of ram=):
 *    0  c.ldsp s8, 448(sp)    2  c.ldsp sp, 272(sp)    4  csrsi mstatus, MIE or nothing    8  jal zero, pc
 * a0 = mstatus, a1 = mode, a3 = the restorer's MiB, s10 = pc.
 */
prepared_for_m:                     /* by its MPP; the mode is 2, which does not exist, or 3 */
    beqz    a4, bad_state
    load_csr a4, CSR_MEPC
    bne     a4, s10, jump
    srli    a4, s10, 20
    bne     a4, a3, leave_by_mret
restarts:
    li      a0, GCPT_CODE_RESTARTS
    j       fail
not_prepared:
    li      a4, 3
    bne     a1, a4, bad_state
jump:
    srli    a4, s10, 20
    beq     a4, a3, restarts
    slli    a5, a0, 63 - 17         /* MPRV */
    bltz    a5, bad_mprv            /* would send the last loads through the workload's translation */
#if GCPT_FROM_FLASH && !GCPT_RAM
    j       out_of_reach            /* the reserved MiB is in flash, and all of memory the workload's */
#else
    andi    s11, a0, ~MSTATUS_MIE
#if GCPT_RAM
    lla     s8, gcpt_trampolines
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    add     s8, s8, a4
#else
    li      s8, GCPT_TRAMPOLINE_END - GCPT_TRAMPOLINE_SIZE
#if !GCPT_DIRECT
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    sub     s8, s8, a4
#endif
#endif
    addi    a2, s10, -8
    sub     a2, a2, s8              /* the distance that jal goes */
#if GCPT_RAM
    srai    a3, a2, 20
    srai    a5, a2, 63
    bne     a3, a5, out_of_reach
#else
    srli    a3, a2, 20              /* nothing that runs is in reach below the reserved MiB */
    bnez    a3, out_of_reach
#endif
    load_csr s10, CSR_MEPC
    /* jal zero, with its immediate in pieces: 20, 10:1, 11, 19:12 from bit 31 down; only 32 bits are stored. */
    lui     a3, 0xff
    and     a3, a3, a2
    slliw   a4, a2, 20              /* 10:1 are in place, and 11 is the sign: where it is set, ... */
    add     a3, a3, a4
    sraiw   a4, a4, 31
    lui     a2, 0x80100             /* ... it goes to bit 20, and the sum loses the sign */
    and     a4, a4, a2
    add     a3, a3, a4
#if GCPT_RAM
    slli    a5, a5, 31
    add     a3, a3, a5
#endif
    addi    a3, a3, 0x6f
    sw      a3, 8(s8)
    ld      a3, trampoline
    andi    a5, a0, MSTATUS_MIE
    slli    a5, a5, 32 + 15         /* the immediate of its csrsi */
    or      a3, a3, a5
    sd      a3, (s8)
    not     s8, s8
    fence.i
    j       prepared
#endif

out_of_reach:
#if GCPT_EXACT
    li      a0, GCPT_CODE_M_MODE_JUMP
    j       fail
#else
    /* An mret after all, and it is said what that loses: mstatus.MPP, MPIE as mret wants them, mepc = pc. */
    li      a0, GCPT_CODE_M_MODE_LOSS
    jal     gcpt_note
    li      s8, 0
    load_csr a0, CSR_MSTATUS
    andi    a1, a0, MSTATUS_MIE
    li      a3, MSTATUS_MPP | MSTATUS_MPIE
    or      a0, a0, a3
    bnez    a1, 1f
    xori    a0, a0, MSTATUS_MPIE
1:  j       leave_by_mret
#endif

/*
 * s9 registers were skipped: the first word of the free part of the block says so, unless that is flash or not there, or
 * locked PMP entries were looked at, which may forbid it.
 */
note_skipped:
#if GCPT_CSRS_PMP16
    beqz    s7, skipped_noted
#endif
#if !GCPT_DIRECT
    ld      a1, FIELD(misc_reserve)(s1)
    beqz    a1, skipped_noted
#endif
    field_address a1, FIELD(misc_reserve)
    li      a2, GCPT_DRAM
    bltu    a1, a2, skipped_noted
    sd      s9, (a1)
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
    beqz    a2, float_registers
    li      a0, GCPT_CODE_VLEN
    j       fail
#endif
bad_mprv:
    li      a0, GCPT_CODE_M_MODE_MPRV
    j       fail
#if GCPT_CSRS_SDTRIG
trigger_in_m:
    li      a0, GCPT_CODE_TRIGGER
    j       fail
#endif
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
    field_address t1, FIELD(csr_reg), 8 * CSR_PMPCFG0
    addi    t3, t1, 8 * (CSR_PMPADDR0 - CSR_PMPCFG0)
    addi    t2, t3, 8 * 7           /* eight entries in a word, the last one's sign bit is its lock */
    li      t0, GCPT_PMP_ENTRIES / 8
1:  ld      a5, (t1)
    mv      a4, t2
2:  bltz    a5, 5f
3:  slli    a5, a5, 8
    addi    a4, a4, -8
    bnez    a5, 2b
    addi    t1, t1, 16              /* an odd pmpcfg does not exist */
    addi    t2, t2, 64
    addi    t0, t0, -1
    bnez    t0, 1b
    li      s7, 0
    ret
5:  srli    a0, a5, 56
    andi    a1, a0, 5               /* X, R */
    addi    a1, a1, -5
    beqz    a1, 3b
    slli    a0, a0, 59
    srli    a0, a0, 62
    beqz    a0, 3b                  /* OFF */
    ld      a1, (a4)                /* addresses are 54 bits, in units of 4 bytes */
    slli    a1, a1, 10
    srli    a1, a1, 10
    mv      a2, a1                  /* NA4: from a1 to a2, both included */
    addi    a0, a0, -2
    beqz    a0, 7f
    bgtz    a0, 6f
    addi    a2, a2, -1              /* TOR, from the entry before; up to 0 is all there is, as QEMU 7.2 has it */
    li      a1, 0
    beq     a4, t3, 7f
    ld      a1, -8(a4)
    slli    a1, a1, 10
    srli    a1, a1, 10
    j       7f
6:  addi    a3, a1, 1               /* NAPOT: the trailing ones and the zero above them are the size */
    or      a2, a2, a3
    and     a1, a1, a3
7:
#if !GCPT_DIRECT
    touches s0
    touches s4                      /* the integer registers, from where a header says, are read after mtvec is written */
#endif
    srli    a1, a1, 18              /* in MiB: the restorer's is a whole one */
    srli    a2, a2, 18
    auipc   a0, 0
    srli    a0, a0, 20
    bltu    a0, a1, 3b
    bltu    a2, a0, 3b
locked_out:
    li      a0, GCPT_CODE_PMP
    j       fail

    .section .rodata.pmp_locks, "a", %progbits
    .balign 8
    .type   pmp_locks, @object
pmp_locks:
    .dword 0x8080808080808080
#endif

#if !GCPT_FROM_FLASH || GCPT_RAM
    .section .rodata.trampoline, "a", %progbits
    .balign 8
    .type   trampoline, @object
trampoline:
    .dword 0x3000607361526c1e       /* c.ldsp s8, 448(sp); c.ldsp sp, 272(sp); csrsi mstatus, 0 */
#endif
