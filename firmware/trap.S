/*
 * The trap handler of the restorer.
 *
 * An illegal instruction between gcpt_skip_begin and gcpt_skip_end is a register that this hart lacks: it is stepped
 * over. All instructions there that can be illegal are 4 bytes long. Anything else ends the run.
 *
 * Clobbers s10, s11, mepc, mcause, mtval, mstatus.MPP/MPIE (and mtval2, mtinst, MPV, GVA on a hart with H): the
 * restore keeps s10 and s11 free and writes those CSRs after the last write that can trap.
 */
#include "gcpt_config.h"
#include "macros.h"

    .section .text.trap, "ax", %progbits
    .balign 4
    .global gcpt_trap
gcpt_trap:
    csrr    s10, mcause
    addi    s10, s10, -CAUSE_ILLEGAL
    bnez    s10, 1f
    csrr    s10, mepc
    lla     s11, gcpt_skip_begin
    bltu    s10, s11, 1f
    lla     s11, gcpt_skip_end
    bgeu    s10, s11, 1f
#if GCPT_LOG
    /* Between the marks only s registers are live and sp is this hart's stack, so C may be called. */
    lw      a0, (s10)
    call    gcpt_log_skipped
#endif
    addi    s10, s10, 4
    csrw    mepc, s10
    mret
1:  j       gcpt_trap_fatal
