/*
 * The restorer's trap handler.
 *
 * An illegal instruction between gcpt_skip_begin and gcpt_skip_end accesses a register that this hart lacks: the
 * handler skips it and adds 1 to s9. Any other trap ends the run.
 *
 * Clobbers a4, a5; with log=, also ra, a6, a7 and the t registers (sp = this hart's stack). The trap itself clobbers
 * mepc, mcause, mtval, mstatus.MPP and MPIE and, on a hart with H, mtval2, mtinst, MPV and GVA. The restore keeps
 * nothing in these registers there, and writes these CSRs after the last write that can trap.
 */
#include "gcpt_config.h"
#include "macros.h"

    .section .text.trap, "ax", %progbits
    .balign 4
    .global gcpt_trap
gcpt_trap:
    csrr    a4, mcause
    addi    a4, a4, -CAUSE_ILLEGAL
    bnez    a4, 2f
    csrr    a4, mepc
#if GCPT_RESET_RNMI
    lla     a5, gcpt_set_nmie
    beq     a4, a5, 3f
#endif
    lla     a5, gcpt_skip_begin
    bltu    a4, a5, 2f
    lla     a5, gcpt_skip_end
    bgeu    a4, a5, 2f
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
    addi    s9, s9, 1
3:  lhu     a5, (a4)
    addi    a4, a4, 2
    andi    a5, a5, 3
    addi    a5, a5, -3              /* 0: the instruction has 4 bytes, else 2 */
    bnez    a5, 1f
    addi    a4, a4, 2
1:  csrw    mepc, a4
    mret
2:  j       gcpt_trap_fatal
