/*
 * The trap handler of the restorer.
 *
 * An illegal instruction between gcpt_skip_begin and gcpt_skip_end is a register that this hart lacks: it is stepped
 * over. Anything else ends the run.
 *
 * Counts in s9. Clobbers a4, a5, and where it prints ra, a6, a7 and the t registers too; mepc, mcause, mtval,
 * mstatus.MPP/MPIE (and mtval2, mtinst, MPV, GVA on a hart with H): the restore keeps these registers free there and
 * writes those CSRs after the last write that can trap.
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
    /* sp is this hart's stack. Of what C clobbers only a0-a3 are live between the marks. */
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
    addi    a5, a5, -3              /* 0: 4 bytes long, else 2 */
    bnez    a5, 1f
    addi    a4, a4, 2
1:  csrw    mepc, a4
    mret
2:  j       gcpt_trap_fatal
