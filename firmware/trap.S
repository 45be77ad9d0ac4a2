/*
 * The trap handler of the restorer.
 *
 * An illegal instruction between gcpt_skip_begin and gcpt_skip_end is a register that this hart lacks: it is stepped
 * over. Anything else ends the run.
 *
 * Counts in s9. Clobbers a4, a5, mepc, mcause, mtval, mstatus.MPP/MPIE (and mtval2, mtinst, MPV, GVA on a hart with H):
 * the restore keeps a4 and a5 free there and writes those CSRs after the last write that can trap.
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
    /* Between the marks only s registers are live and sp is this hart's stack, so C may be called. */
    lhu     a0, (a4)
    lhu     a5, 2(a4)
    slli    a5, a5, 16
    or      a0, a0, a5
    call    gcpt_log_skipped
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
