/*
 * How a run ends that cannot restore: one line on the console, then the platform's finisher with the signal code.
 * Uses no memory and no stack, so that it works from flash and after any trap. May run on several harts at once.
 */
#include "gcpt_config.h"
#include "macros.h"

    .section .head, "ax", %progbits

/*
 * gcpt_trap_fatal: entered from the trap handler. Clobbers everything, does not return.
 */
    .global gcpt_trap_fatal
gcpt_trap_fatal:
    li      a0, GCPT_CODE_TRAP
    /* fall through */

/*
 * gcpt_fail: a0 = signal code. Clobbers everything, does not return. A trap on the way (no console there, PMP) goes
 * straight to the finisher, a trap there to the final sleep.
 */
    .global gcpt_fail
gcpt_fail:
    mv      s0, a0
    lla     t0, gcpt_end
    csrw    mtvec, t0
    csrw    mie, zero
    lla     a0, text_error
    jal     print
    mv      a0, s0
    jal     print_decimal
    lla     a0, text_hart
    jal     print
    csrr    a0, mhartid
    jal     print_decimal
    li      t0, GCPT_CODE_TRAP
    bne     s0, t0, 1f
    lla     a0, text_mepc
    jal     print
    csrr    a0, mepc
    jal     print_hex
    lla     a0, text_mcause
    jal     print
    csrr    a0, mcause
    jal     print_hex
    lla     a0, text_mtval
    jal     print
    csrr    a0, mtval
    jal     print_hex
1:  lla     a0, text_colon
    jal     print
    /* The messages lie one after the other in the order of their codes, which begin at 1. */
    lla     a0, gcpt_messages
    mv      t0, s0
2:  addi    t0, t0, -1
    beqz    t0, 4f
3:  lbu     t1, (a0)
    addi    a0, a0, 1
    bnez    t1, 3b
    j       2b
4:  call    print
    lla     a0, text_newline
    jal     print
    /* fall through */

/*
 * gcpt_end: s0 = signal code, 0 good. Ends the run the platform's way. Does not return.
 */
    .balign 4
    .global gcpt_end
gcpt_end:
    lla     t0, gcpt_sleep
    csrw    mtvec, t0
#if GCPT_END_NEMU_TRAP
    mv      a0, s0
    .insn r 0x6B, 0, 0, x0, x0, x0
#elif GCPT_END_SIFIVE_TEST
    li      t0, GCPT_FINISHER
    li      t1, 0x5555
    beqz    s0, 1f
    slli    t1, s0, 16
    li      t2, 0x3333
    or      t1, t1, t2
1:  sw      t1, (t0)
#elif GCPT_END_HTIF
    lla     t0, tohost
    slli    t1, s0, 1
    ori     t1, t1, 1
    sd      t1, (t0)
#endif
    /* fall through */

/*
 * gcpt_park, gcpt_sleep: a hart that has nothing to do sleeps for good.
 */
    .balign 4
    .global gcpt_park, gcpt_sleep
gcpt_park:
gcpt_sleep:
    csrw    mie, zero
1:  wfi
    j       1b

/*
 * print: a0 = text that a zero ends. Clobbers a0, a1, t0-t4.
 */
print:
    mv      t4, a0
1:  lbu     a0, (t4)
    beqz    a0, 2f
    addi    t4, t4, 1
    jal     t0, put
    j       1b
2:  ret

/*
 * print_decimal, print_hex: a0 = number (decimal: below 10000). Clobber a0-a3, t0-t4.
 */
print_decimal:
    li      a2, 10
    li      a3, 1000
    j       print_number
print_hex:
    li      a2, 16
    li      a3, 1
    slli    a3, a3, 60
print_number:
    mv      t4, a0
    li      a1, 0                   /* whether a digit was printed */
1:  divu    a0, t4, a3
    remu    t4, t4, a3
    divu    a3, a3, a2
    or      a1, a1, a0
    beqz    a3, 2f                  /* the last digit is printed even if it is 0 */
    beqz    a1, 1b
2:  li      t1, 10
    bltu    a0, t1, 3f
    addi    a0, a0, 'a' - 10 - '0'
3:  addi    a0, a0, '0'
    jal     t0, put
    bnez    a3, 1b
    ret

/*
 * put: a0 = character; returns through t0. Clobbers t1-t3. A console that never gets ready is not waited for.
 */
put:
#if GCPT_UART_HTIF
    lla     t1, tohost
    li      t3, 0x10000
1:  sd      zero, GCPT_FROMHOST_OFFSET(t1)
    ld      t2, (t1)
    addi    t3, t3, -1
    beqz    t3, 2f
    bnez    t2, 1b
2:  li      t2, 0x0101
    slli    t2, t2, 48
    or      t2, t2, a0
    sd      t2, (t1)
#else
    li      t1, GCPT_UART
    li      t3, 0x10000
1:  UART_LOAD t2, GCPT_UART_STATUS(t1)
    andi    t2, t2, GCPT_UART_MASK
    addi    t3, t3, -1
    beqz    t3, 2f
    UART_NOT_READY t2, 1b
2:  UART_STORE a0, GCPT_UART_DATA(t1)
#endif
    jr      t0

#if !GCPT_DIRECT
/*
 * gcpt_put_char: void gcpt_put_char(int character), for C.
 */
    .global gcpt_put_char
gcpt_put_char:
    mv      a1, t0
    jal     t0, put
    ret
#endif

    .section .head.text, "a", %progbits
text_error:     .asciz "gcpt: error "
text_hart:      .asciz " hart "
text_mepc:      .asciz " mepc=0x"
text_mcause:    .asciz " mcause=0x"
text_mtval:     .asciz " mtval=0x"
text_colon:     .asciz ": "
text_newline:   .asciz "\n"
gcpt_messages:
    GCPT_MESSAGES
