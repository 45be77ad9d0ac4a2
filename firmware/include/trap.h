/*
 * The restorer's trap handler, a part of restore.S: probes need its distance from `absent` as a constant.
 *
 * An illegal instruction here accesses a register that this hart lacks: the handler skips it and adds 1 to s9. All such
 * instructions have 4 bytes. Any other trap ends the run.
 *
 * Clobbers a4; with log=, also ra, a5-a7 and the t registers (sp = this hart's stack). The trap itself clobbers mepc,
 * mcause, mtval, mstatus.MPP and MPIE and, on a hart with H, mtval2, mtinst, MPV and GVA. The restore keeps nothing in
 * these registers there, and writes these CSRs after the last write that can trap.
 */
    .section .text.trap, "ax", %progbits
    .balign 8
#if GCPT_GUARDED
    .option push
    .option norvc
    absent_groups
    .option pop
#endif
    /* Constants at distances TRAP_... from gcpt_trap, which is in s5. */
    .type   complete_flag, @object
complete_flag:
    .dword  GCPT_COMPLETE_FLAG
    .type   checkpoint_magic, @object
checkpoint_magic:
    .dword  GCPT_CHECKPOINT_MAGIC
    .type   units_on, @object
units_on:
    .dword  MSTATUS_FS | MSTATUS_VS
    .type   pmp_locks, @object
pmp_locks:
    .dword  0x8080808080808080
    .global gcpt_trap
gcpt_trap:
    csrr    a4, mcause
    addi    a4, a4, -CAUSE_ILLEGAL
    bnez    a4, 2f
    csrr    a4, mepc
#if GCPT_LOG
    /* Of the registers that C clobbers, only a0-a3 are live between gcpt_skip_begin and gcpt_skip_end. */
    addi    sp, sp, -32
    sd      a0, (sp)
    sd      a1, 8(sp)
    sd      a2, 16(sp)
    sd      a3, 24(sp)
    lhu     a0, (a4)
    lhu     a5, 2(a4)
    slli    a5, a5, 16
    or      a0, a0, a5
    call    gcpt_log_skipped
    ld      a0, (sp)
    ld      a1, 8(sp)
    ld      a2, 16(sp)
    ld      a3, 24(sp)
    addi    sp, sp, 32
    csrr    a4, mepc
#endif
    addi    a4, a4, 4
    csrw    mepc, a4
    addi    s9, s9, 1
    mret
2:  j       gcpt_trap_fatal
