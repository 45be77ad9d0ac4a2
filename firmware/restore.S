/*
 * The restore path: from a hart's block in memory to its registers. docs/restore-path.md explains it step by step.
 *
 * Entry: as reset_hart leaves it. Planned: s0-s2 and sp as in the table. Does not return.
 *
 * Registers while it runs, by labels of this file; a "trap" is one that gcpt_trap skips:
 *
 * register     | holds                                     | from .. to                           | clobbered by
 * -------------+-------------------------------------------+--------------------------------------+-------------------
 * s0           | planned: address of this hart's block     | entry .. integer_registers
 * s1           | planned: struct gcpt_plan                 | entry .. integer_registers
 *              | direct: address of the first field        | entry .. integer_registers
 * s2           | planned: hart number                      | entry .. prepared
 * s3, tp,      | LOW, HIGH, MIDDLE: bases of load_csr      | gcpt_skip_begin .. integer_registers
 *  gp or s0    |                                           |
 * sp           | planned: end of this hart's stack         | entry .. integer_registers
 *              | direct: address of pmpaddr0 (PMP_IN_SP)   | gcpt_skip_begin .. float_base
 *              | direct: address of f0 (FLOAT_IN_SP)       | float_base .. timers
 *              | integer registers' address - INT_BIAS     | integer_registers .. leave           | last load
 * s4           | planned: address of f0 in the block       | float_registers .. meeting           | gcpt_meet,
 *              |                                           |                                      | gcpt_extended
 *              | planned: address of the integer registers | way_out .. integer_registers
 * s5           | gcpt_trap                                 | entry .. way_out
 *              | selfcheck=1: s9 before csrs_check         | csrs_check
 * s6           | guarded: 0 without Smrnmi                 | entry .. way_out
 *              | the checkpoint's mtvec                    | way_out .. skipped_noted
 * s7           | PMP lock bits; 0 once locks were checked; | entry .. note_skipped                | look_at_locks
 *              | guarded: 1 without PMP
 * LEAVING      | mstatus with FS and VS as far as they are | entry .. vector_registers
 *  (t2 or s8)  | the hart's vlenb; 1 without V             | vector_registers .. way_out
 *              | negative: complement of the address to    | way_out .. leave                     | jump, out_of_reach
 *              | jump to at leave; else: leave by mret     |
 * s9           | number of skipped registers               | entry .. note_skipped                | gcpt_trap: + 1
 * s10          | the checkpoint's pc, which becomes mepc   | direct: entry .. skipped_noted       | jump, out_of_reach
 *              |                                           | planned: way_out .. skipped_noted    | jump, out_of_reach
 * s11          | MSTATUS_FS | MSTATUS_VS                   | entry .. way_out
 *              | the value for mstatus, MIE clear          | way_out .. skipped_noted
 * a0-a3        | scratch; traps preserve them              |                                      | macros
 * a4, a5       | scratch where no instruction can trap     |                                      | traps
 * t0-t4, ra    | scratch                                   |                                      | macros; log= traps
 * a6, a7, t6   | guarded: sign is misa's D, H, S           | gcpt_restore .. gcpt_skip_end
 * t6           | guarded: the checkpoint's mseccfg         | timers .. gcpt_skip_end
 * ra           | guarded: PROBED                           | put_probed .. vector_registers
 * t5           | guarded: the bits that menvcfg has        | put_envcfg .. way_out
 *
 * "guarded" is a restorer that tests which groups of CSRs the hart has: not with log= or with csrs= of a machine's groups.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"
#include "restore_macros.h"
#include "gcpt_csrs.inc"

    .section .text.restore, "ax", %progbits
#if GCPT_DIRECT
#include "boot_direct.inc"
#else
#include "trap.inc"
#endif

    .option arch, +d, +v, +h, +zifencei

/*
 * touches base: branch to locked_out if the MiB from `base` overlaps a1 to a2 (inclusive), both in 1/256 byte. Clobbers
 * a0, t4.
 */
    .macro touches base
    slli    a0, \base, 8
    li      t4, GCPT_RESERVED_SIZE << 8
    add     t4, t4, a0
    bgeu    a1, t4, 9f
    bgeu    a2, a0, locked_out
9:
    .endm

#define VECTOR_DISTANCE 0x3000      /* from HIGH */
/*
 * vector_csr_base: a3 = address for load_vector_csr, which loads the checkpoint's value of a read-only vector CSR.
 */
    .macro vector_csr_base
    lui     a3, VECTOR_DISTANCE >> 12
    add     a3, a3, HIGH
    .endm
    .macro load_vector_csr reg, number
    ld      \reg, 8 * ((\number) - GCPT_HIGH_BASE) - VECTOR_DISTANCE(a3)
    .endm

/* set_vl_and_vtype: restore vl and vtype; a vtype with vill gives vill and vl = 0. Clears vstart. Clobbers a0, a1. */
    .macro set_vl_and_vtype
    load_vector_csr a0, CSR_VL
    load_vector_csr a1, CSR_VTYPE
    vsetvl  zero, a0, a1
    .endm

/* load_vector_registers: load v0..v31, LEAVING bytes each, from the address a2. Clobbers a0, a2, a3. */
    .macro load_vector_registers
#if GCPT_FROM_FLASH
    /* Vector loads from flash fault (NEMU): shift scalars into groups of 8 registers. Clobbers vl, vtype. */
    vsetvli zero, LEAVING, e64, m8, ta, ma
    .irp n, 0,8,16,24
    mv      a3, LEAVING
1:  ld      a0, (a2)
    addi    a2, a2, 8
    vslide1down.vx v\n, v\n, a0
    addi    a3, a3, -1
    bnez    a3, 1b
    .endr
#else
    slli    a3, LEAVING, 3          /* bytes of 8 registers */
    vl8re8.v v0, (a2)
    add     a2, a2, a3
    vl8re8.v v8, (a2)
    add     a2, a2, a3
    vl8re8.v v16, (a2)
    add     a2, a2, a3
    vl8re8.v v24, (a2)
#endif
    .endm

/* Subsection 1: code that some harts do not need, behind all other code. */
    .subsection 1
gcpt_apart_begin:
    .subsection 2
gcpt_apart_end:
    .subsection 0

    .global gcpt_restore, gcpt_skip_begin, gcpt_skip_end
gcpt_restore:
#if !GCPT_DIRECT
    li      s9, 0                   /* skipped registers: the trap handler adds 1 for each */
    csrw    mtvec, s5
#endif
#if !GCPT_CSRS_V
    li      LEAVING, 0
#endif
#if GCPT_GUARDED
    csrr    a0, misa
    slli    a6, a0, 63 - 3          /* D */
    slli    a7, a0, 63 - 7          /* H */
    slli    t6, a0, 63 - 18         /* S */
#endif
#if GCPT_CSRS_PMP16
    ld      s7, TRAP_PMP_LOCKS(s5)  /* until look_at_locks has checked the checkpoint's PMP */
#endif
    csr_bases
gcpt_skip_begin:
    csrs_before_vector
    float_base

#if GCPT_CSRS_V
    /* Vector registers before vstart and vcsr: vsetvl clears vstart. */
vector_registers:
#if GCPT_GUARDED
    andi    a0, LEAVING, MSTATUS_VS /* a hart with vectors, of whatever subset, can set VS */
    bnez    a0, has_vectors
    li      LEAVING, 1
    addi    s9, s9, 1
    load_csr a2, CSR_MSTATUS
    andi    a2, a2, MSTATUS_VS
    bnez    a2, no_vectors
#if GCPT_DIRECT
    .subsection 1
#else
    j       float_registers
#endif
has_vectors:
#endif
    vector_csr_base
    load_vector_csr a1, CSR_VLENB
    csrr    LEAVING, CSR_VLENB      /* keeps the value of mstatus on a hart without V */
    bne     LEAVING, a1, vlen_differs
vlen_same:
    srli    a1, LEAVING, GCPT_MAX_VLENB_SHIFT + 1
    bnez    a1, vector_registers_lost       /* a block holds GCPT_MAX_VLENB bytes of a register */
#if !GCPT_FROM_FLASH
    set_vl_and_vtype                /* first: clears vstart, at which whole-register loads start */
#endif
    field_address a2, FIELD(vector_reg)
    load_vector_registers
#if GCPT_FROM_FLASH
    vector_csr_base
    set_vl_and_vtype                /* last: the loads contain a vsetvli */
#endif
vector_csrs:
    csrs_vector
#if GCPT_GUARDED && GCPT_DIRECT
    j       float_registers
    .subsection 0
#endif
#endif

float_registers:
#if !GCPT_DIRECT
    field_address s4, FIELD(float_reg)
#define FLOAT(n) 8 * n(s4)
#elif FLOAT_IN_SP
#define FLOAT(n) 8 * n(sp)
#else
#define FLOAT(n) 8 * n + LAYOUT_float_reg - LAYOUT_csr_reg - 8 * GCPT_LOW_BASE(LOW)
#endif
#if GCPT_GUARDED
    bgez    a6, no_d
#endif
load_float_registers:
    .option push
#if !GCPT_ZCD
    .option norvc                   /* c.fld and c.fldsp do not exist on a hart with Zcmp or Zcmt: the profiles have C */
#endif
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    fld     f\n, FLOAT(\n)
    .endr
    .option pop
float_csrs:
    csrs_float
supervisor_csrs:
    csrs_after_vector

    /* All harts meet and the last one writes mtime, before any compare value: these are evaluated when written. */
meeting:
#if GCPT_EXTENDED
    jal     gcpt_extended
#endif
#if GCPT_DIRECT
    load_field a0, FIELD(mtime)
    write_mtime
#else
    jal     gcpt_meet
#endif
timers:
#if GCPT_CSRS_SMEPMP && GCPT_GUARDED
    load_csr t6, CSR_MSECCFG
#endif
#if GCPT_CSRS_SDTRIG
    /* A trigger that is enabled in M mode could fire here and then in the trap handler, forever. */
    load_csr a0, CSR_TDATA1
    srli    a1, a0, 60              /* type: m is bit 6 in types 2 and 6, bit 9 in types 3 to 5 */
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
#if GCPT_DIRECT
    load_field a0, FIELD(mtime_cmp)
    store_double a0, GCPT_CLINT + GCPT_CLINT_MTIMECMP, a1
#else
    field_address a2, FIELD(mtime_cmp)
    slli    a3, s2, 3
    add     a2, a2, a3
    ld      a0, (a2)                /* in hart h's own block, but still at + 8h */
    li      a1, GCPT_CLINT + GCPT_CLINT_MTIMECMP
    add     a1, a1, a3
    store_device sd, a0, (a1)
    field_address s4, FIELD(int_reg)
#endif
    /*
     * Decide how the hart leaves, while the console and the finisher are accessible: later, PMP may deny them.
     * Result at prepared: s6 = mtvec, s10 = mepc, s11 = mstatus, LEAVING = complement of the address to jump to (the
     * trampoline or leave_by_mnret) or not negative (mret).
     */
way_out:
    load_csr s6, CSR_MTVEC
    xor     a4, s6, s5
    srli    a4, a4, 20
    beqz    a4, restarts            /* in the restorer's MiB: each trap would restart the restore */
    load_field a1, FIELD(mode)
#if !GCPT_DIRECT
    load_field s10, FIELD(pc)
#endif
    load_csr a0, CSR_MSTATUS
    andi    s11, a0, ~MSTATUS_MIE   /* mret sets it from MPIE, the trampoline directly; no interrupt before that */
    srli    a4, a0, 11
    andi    a4, a4, 3 | MSTATUS_MPRV >> 11
    bne     a4, a1, not_prepared    /* MPP = mode and MPRV = 0, unless the generator left M-mode state alone */
    addi    a1, a1, -2
    bgez    a1, prepared_for_m
prepared:
#if GCPT_SIE_LOST != 0
    /* NEMU moved SIE into SPIE, in every mode, and no mret moves it back. Its blocks have no count of harts. */
#if GCPT_SIE_LOST < 0
#if GCPT_DIRECT
    ld      a1, gcpt_base + LAYOUT_csr_reserve
    bnez    a1, sie_restored
#else
    ld      a1, PLAN_nemu(s1)
    beqz    a1, sie_restored
#endif
#endif
    srli    a0, a0, 4               /* a0 = mstatus: SPIE to SIE */
    andi    a0, a0, MSTATUS_SIE
    or      s11, s11, a0
#endif
sie_restored:
#if GCPT_CSRS_H && GCPT_GUARDED
    slli    a0, s11, 63 - 39        /* MPV */
    bltz    a0, look_for_mpv
    bltz    a7, no_guest
    addi    s9, s9, 1               /* the registers of H were skipped */
    load_csr a0, CSR_HGATP
    bnez    a0, no_hypervisor
#elif GCPT_CSRS_H
    bnez    s9, look_for_h          /* the missing registers may be those of H */
with_h:
    slli    a0, s11, 63 - 39        /* MPV */
    bltz    a0, look_for_mpv
#else
    j       look_for_guest
#endif
no_guest:
#if GCPT_CSRS_SMEPMP
#if GCPT_GUARDED
    beqz    t6, 1f                  /* as after reset, with Smepmp or without */
#else
    load_csr t6, CSR_MSECCFG
#endif
    /* With MML or MMWP, M mode may execute only what a PMP rule of the workload allows: not the restorer. */
    andi    a0, t6, 3
    bnez    a0, locked_out
    csrw    CSR_MSECCFG, t6         /* before an entry is locked, after which RLB cannot be set */
1:
#endif
    /* No check or message after this except selfcheck's: PMP may restrict M mode too. */
    csrs_lock
    sfence.vma                      /* for satp and PMP */
#if GCPT_SELFCHECK
    mv      s5, s9
    csrs_check
    mv      s9, s5                  /* count each missing register once */
#endif
gcpt_skip_end:

    /* Nothing traps from here on: restore the CSRs that a trap clobbers. */
    csrs_last
    beqz    s9, skipped_noted
    /*
     * Store the number of skipped registers in the first word of misc_reserve, unless the layout has none, it is in
     * flash, or locked PMP entries exist (s7 = 0), which may deny the store. Clobbers a1, a2, t0.
     */
note_skipped:
#if GCPT_CSRS_PMP16
    beqz    s7, skipped_noted
#endif
#if GCPT_DIRECT
    srli    a2, s1, GCPT_DRAM_SHIFT
    beqz    a2, skipped_noted
    sd      s9, LAYOUT_misc_reserve - LAYOUT_magic_number(s1)
#else
    ld      a1, FIELD(misc_reserve)(s1)
    beqz    a1, skipped_noted
    field_address a1, FIELD(misc_reserve)
    srli    a2, a1, GCPT_DRAM_SHIFT
    beqz    a2, skipped_noted
    sd      s9, (a1)
#endif
skipped_noted:
#define INT_BIAS 256                /* from sp to the integer registers: 2-byte loads reach all */
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
    addi    sp, LOW, LAYOUT_int_reg - INT_BIAS - LAYOUT_csr_reg - 8 * GCPT_LOW_BASE
#else
    addi    sp, s4, -INT_BIAS
#endif
#if !GCPT_DIRECT
    mv      t2, LEAVING
#endif
    .irp n, 1,3,4,5,6,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    ld      x\n, INT_BIAS + 8 * \n(sp)
    .endr
leave:
    bltz    t2, 1f
    ld      t2, INT_BIAS + 8 * 7(sp)
    ld      sp, INT_BIAS + 8 * 2(sp)
    mret
1:  not     t2, t2
    jr      t2                      /* x7: with Zicfilp, no landing pad is needed at its target */

/*
 * M mode. If the generator prepared an mret (mepc = pc and MPP = M, as NEMU does), leave by mret. Otherwise mret would
 * lose mepc, MPP, MPIE and MIE; leave by a jump that needs no register or, out of its reach on a hart with Smrnmi, by
 * mnret. The jump is in a trampoline: hart h's begins (h + 1) * GCPT_TRAMPOLINE_SIZE below the end of the reserved MiB
 * (with ram=: in that memory):
 *    0  c.ldsp t2, 312(sp)    2  c.ldsp sp, 272(sp)    4  csrsi mstatus, MIE or nothing    8  jal zero, pc
 * With without_c=1, the first two have 4 bytes each, and the jal is at 12.
 * a0 = mstatus, a1 = mode - 2, s10 = pc.
 */
#define TRAMPOLINE_JAL (8 + 4 * GCPT_WITHOUT_C)     /* offset: bits that are clear in a trampoline's address */
prepared_for_m:                     /* MPP = mode is 2 (reserved) or 3 */
    beqz    a1, bad_state
    load_csr a4, CSR_MEPC
    bne     a4, s10, jump
    xor     a4, s10, s5
    srli    a4, a4, 20
    bnez    a4, prepared
restarts:
    li      a0, GCPT_CODE_RESTARTS
    j       fail
not_prepared:
    li      a4, 3
    bne     a1, a4, bad_state
jump:
    xor     a4, s10, s5
    srli    a4, a4, 20
    beqz    a4, restarts
    slli    a5, a0, 63 - 17         /* MPRV */
    bltz    a5, bad_mprv            /* would apply the workload's translation to the last loads */
#if GCPT_FROM_FLASH && !GCPT_RAM
    j       out_of_reach            /* no place for a trampoline: DRAM belongs to the workload */
#else
#if GCPT_RAM
    lla     LEAVING, gcpt_trampolines + TRAMPOLINE_JAL
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    add     LEAVING, LEAVING, a4
#else
    li      LEAVING, GCPT_TRAMPOLINE_END - GCPT_TRAMPOLINE_SIZE + TRAMPOLINE_JAL
#if !GCPT_DIRECT
    slli    a4, s2, GCPT_TRAMPOLINE_SHIFT
    sub     LEAVING, LEAVING, a4
#endif
#endif
    sub     a2, s10, LEAVING        /* offset of the jal at LEAVING */
#if GCPT_RAM
    srai    a3, a2, 20
    srai    a5, a2, 63
    bne     a3, a5, out_of_reach
#else
    srli    a3, a2, 20              /* only forward: below the reserved MiB nothing in reach can run */
    bnez    a3, out_of_reach
#endif
    load_csr s10, CSR_MEPC
    /* Encode jal zero: immediate bits 20, 10:1, 11, 19:12 from bit 31 down. Only the low 32 bits are stored. */
    lui     a3, 0xff
    and     a3, a3, a2
    slliw   a4, a2, 20              /* 10:1 are in place, and 11 is the sign: if set, ... */
    add     a3, a3, a4
    sraiw   a4, a4, 31
    lui     a2, 0x80100             /* ... move it to bit 20 and clear the sign */
    and     a4, a4, a2
    add     a3, a3, a4
#if GCPT_RAM
    slli    a5, a5, 31
    add     a3, a3, a5
#endif
    addi    a3, a3, 0x6f
    sw      a3, (LEAVING)
    ld      a3, trampoline
    andi    a5, a0, MSTATUS_MIE
#if GCPT_WITHOUT_C
    sd      a3, -TRAMPOLINE_JAL(LEAVING)
    lw      a3, trampoline + 8
    slli    a5, a5, 15              /* the immediate of csrsi */
    or      a3, a3, a5
    sw      a3, 8 - TRAMPOLINE_JAL(LEAVING)
#else
    slli    a5, a5, 32 + 15         /* the immediate of csrsi */
    or      a3, a3, a5
    sd      a3, -TRAMPOLINE_JAL(LEAVING)
#endif
    xori    LEAVING, LEAVING, ~TRAMPOLINE_JAL       /* the complement of the trampoline's address */
    fence.i
    j       sie_restored
#endif

out_of_reach:
#if GCPT_CSRS_SMRNMI
    /* mnret goes to mnepc, wherever that is, and leaves mepc and mstatus as they are. */
    mv      a3, s9
    li      a2, 0                   /* keeps this value on a hart without Smrnmi; else NMIE is set */
    csrr    a2, CSR_MNSTATUS
    mv      s9, a3                  /* no register of the checkpoint was skipped */
    beqz    a2, no_mnret
    csrw    CSR_MNEPC, s10
    li      a2, MNSTATUS_MNPP | MNSTATUS_NMIE
    csrw    CSR_MNSTATUS, a2
    load_csr s10, CSR_MEPC
    lla     LEAVING, leave_by_mnret
    andi    a2, a0, MSTATUS_MIE
    beqz    a2, 1f
    lla     LEAVING, leave_by_mnret_with_mie
1:  not     LEAVING, LEAVING
    j       sie_restored
leave_by_mnret_with_mie:            /* jumped to from leave; an interrupt needs the workload's registers */
    ld      t2, INT_BIAS + 8 * 7(sp)
    ld      sp, INT_BIAS + 8 * 2(sp)
    csrsi   mstatus, MSTATUS_MIE
    .insn   MNRET
leave_by_mnret:
    ld      t2, INT_BIAS + 8 * 7(sp)
    ld      sp, INT_BIAS + 8 * 2(sp)
    .insn   MNRET
no_mnret:
#endif
#if GCPT_EXACT
    li      a0, GCPT_CODE_M_MODE_JUMP
    j       fail
#else
    /* Leave by mret (LEAVING is not negative) with a note: mepc (= pc), MPP and MPIE (as mret needs them) are lost. */
    andi    a1, a0, MSTATUS_MIE
    li      a3, MSTATUS_MPP | MSTATUS_MPIE
    or      s11, s11, a3
    bnez    a1, 1f
    xori    s11, s11, MSTATUS_MPIE
1:  li      a0, GCPT_CODE_M_MODE_LOSS
    jal     gcpt_note
    li      LEAVING, 0
    j       sie_restored
#endif

/*
 * A hart or a restorer without H refuses a checkpoint with a guest, which would go on without its translation: MPV = 1,
 * or hgatp is not 0. So does a hart with H whose MPV stays clear (QEMU 10). Without guards, a misa of 0 (not implemented)
 * counts as one without H if a register was skipped. Clobbers a0.
 */
#if GCPT_CSRS_H && !GCPT_GUARDED
look_for_h:
    csrr    a0, misa
    slli    a0, a0, 63 - 7          /* H */
    bltz    a0, with_h
#endif
#if !(GCPT_CSRS_H && GCPT_GUARDED)
look_for_guest:
    load_csr a0, CSR_HGATP
    bnez    a0, no_hypervisor
    slli    a0, s11, 63 - 39        /* MPV */
    bgez    a0, no_guest
#endif
#if GCPT_CSRS_H && !GCPT_GUARDED
    j       no_hypervisor
#endif
#if GCPT_CSRS_H
look_for_mpv:
#if GCPT_GUARDED
    bgez    a7, no_hypervisor       /* where MPV may be set all the same (QEMU 7.2) */
#endif
    csrs    mstatus, s11            /* FS and VS stay on; the rest has no effect in M mode: MPRV and MIE are clear */
    csrr    a0, mstatus
    slli    a0, a0, 63 - 39
    bltz    a0, no_guest
#endif
no_hypervisor:
    li      a0, GCPT_CODE_NO_HYPERVISOR
    j       fail

#if GCPT_CSRS_V
/*
 * The checkpoint's vlenb (a1) differs from the hart's (LEAVING). 0: the generator did not write it, and VLEN is 128
 * bits. With VS = Off there is no vector state to restore.
 */
vlen_differs:
    addi    a2, LEAVING, -1
    and     a2, a2, LEAVING
    beqz    a2, 2f                  /* a power of 2: not mstatus, in which FS or VS is 3 */
    li      LEAVING, 1
2:  bnez    a1, 1f
    li      a1, GCPT_DEFAULT_VLENB
    beq     LEAVING, a1, vlen_same
1:
vector_registers_lost:
    load_csr a2, CSR_MSTATUS
    andi    a2, a2, MSTATUS_VS
#if GCPT_GUARDED
    addi    a1, LEAVING, -1
    bnez    a1, 1f
    beqz    a2, float_registers
1:
#endif
    beqz    a2, vector_csrs
no_vectors:
    li      a0, GCPT_CODE_VLEN
    j       fail
#endif
#if GCPT_GUARDED
/* A misa of 0 is not implemented: try everything, and let the trap handler skip what the hart lacks. a0 = misa. */
no_s:
    bnez    a0, without_s
    li      a6, -1
    li      a7, -1
    li      t6, -1
    j       with_s
/* Without D; with F, the registers have 4 bytes; with Zfinx there is fcsr alone. Clobbers a0. */
no_d:
    csrr    a0, misa
    slli    a0, a0, 63 - 5          /* F */
    bgez    a0, 1f
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    flw     f\n, FLOAT(\n)
    .endr
    j       float_csrs
1:  li      a0, -1                  /* keeps this value on a hart without fcsr */
    csrr    a0, fcsr
    bgez    a0, float_csrs
    j       supervisor_csrs
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
 * look_at_locks: check the checkpoint's locked PMP entries, which apply to M mode too. Ends the run if one that denies
 * reads or execution overlaps the restorer's MiB or, planned, the MiB of the block or of its integer registers. Ignores
 * lower-numbered entries that would allow the access. Otherwise returns with s7 = 0. Clobbers a0-a5, t0, t1, t3-t5. It
 * contains no instruction that traps, so that a4 and a5 are its own.
 */
look_at_locks:
    addi    t1, MIDDLE, 8 * (CSR_PMPCFG0 - GCPT_MIDDLE_BASE)
    addi    t3, t1, 8 * (CSR_PMPADDR0 - CSR_PMPCFG0)
    addi    t5, t3, 8 * 7           /* 8 entries a word; the sign bit is the lock of the last one */
    addi    t0, t5, 8 * GCPT_PMP_ENTRIES
1:  ld      a5, (t1)
    mv      a4, t5
2:  bltz    a5, 5f
3:  slli    a5, a5, 8
    addi    a4, a4, -8
    bnez    a5, 2b
    addi    t1, t1, 16              /* odd pmpcfg CSRs do not exist */
    addi    t5, t5, 64
    bne     t5, t0, 1b
    li      s7, 0
    ret
5:  srli    a0, a5, 56
    andi    a1, a0, 5               /* X, R */
    addi    a1, a1, -5
    beqz    a1, 3b
    slli    a0, a0, 59
    srli    a0, a0, 62
    beqz    a0, 3b                  /* OFF */
    ld      a1, (a4)                /* addresses have 54 bits, in units of 4 bytes: from here on in 1/256 byte */
    slli    a1, a1, 10
    mv      a2, a1                  /* NA4: from a1 to a2, inclusive */
    addi    a0, a0, -2
    beqz    a0, 7f
    bgtz    a0, 6f
    addi    a2, a2, -1 << 10        /* TOR: from the previous entry's address; to 0 is all of memory (QEMU 7.2) */
    li      a1, 0
    beq     a4, t3, 7f
    ld      a1, -8(a4)
    slli    a1, a1, 10
    j       7f
6:  addi    a3, a1, 1 << 10         /* NAPOT: the trailing ones and the zero above them encode the size */
    or      a2, a2, a3
    and     a1, a1, a3
7:
#if !GCPT_DIRECT
    touches s0
    touches s4                      /* the integer registers, loaded after mtvec is restored, may be further away */
#endif
    srli    a1, a1, 20 + 8          /* in MiB: the restorer has a whole MiB */
    srli    a2, a2, 20 + 8
    srli    a0, s5, 20
    bltu    a0, a1, 3b
    bltu    a2, a0, 3b
#endif
#if GCPT_CSRS_PMP16 || GCPT_CSRS_SMEPMP
locked_out:
    li      a0, GCPT_CODE_PMP
    j       fail
#endif

#if !GCPT_FROM_FLASH || GCPT_RAM
    .section .rodata.trampoline, "a", %progbits
    .balign 8
    .type   trampoline, @object
trampoline:
#if GCPT_WITHOUT_C
    .word   0x13813383, 0x11013103, 0x30006073      /* ld t2, 312(sp); ld sp, 272(sp); csrsi mstatus, 0 */
#else
    .dword  0x30006073615273f2      /* c.ldsp t2, 312(sp); c.ldsp sp, 272(sp); csrsi mstatus, 0 */
#endif
#endif
