/*
 * Error exit: one line on the console, then the platform's finisher with the signal code. It uses no stack and, in
 * memory, only the console lock of the planned restorer, so that it works from flash and after any trap.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"
#include "uart.h"

    .section .head, "ax", %progbits

/*
 * gcpt_note: a0 = code. Prints the line and returns. Clobbers a0-a6, t0-t4. While it prints, mtvec = gcpt_end.
 * gcpt_fail: a0 = signal code. Does not return. A trap while it prints (no console, PMP) goes straight to gcpt_end; a
 *   trap in gcpt_end goes to gcpt_sleep. Harts print one at a time; the first one that fails ends the run.
 * gcpt_fail_alone: as gcpt_fail, without the lock: for one hart, where .data may not be loaded.
 * gcpt_trap_fatal: gcpt_fail with the code TRAP, for the trap handler.
 *
 * Registers while it prints: a5 = next byte of the text, a6 = code, ra = return address (0: end the run), t4 = mtvec of
 * the caller.
 *
 * Bytes below ' ' in the text are directives: 1 code, 2 hart, 3 mepc, 4 mcause, 5 mtval. At 6, a line that does not
 * report a trap continues with the code's words (planned) or ends (direct). At 7, any line continues with the words.
 * 0 ends the line.
 */
    .global gcpt_fail, gcpt_fail_alone, gcpt_trap_fatal, gcpt_note
#if !GCPT_DIRECT
gcpt_fail_alone:
    li      ra, 0
    mv      a6, a0
    lla     t0, gcpt_end
    csrw    mtvec, t0
    j       print
#endif
    .balign 4
gcpt_trap_fatal:
    li      a0, GCPT_CODE_TRAP
    /* fall through */
gcpt_fail:
    li      ra, 0
gcpt_note:
    mv      a6, a0
    lla     t0, gcpt_end
    csrrw   t4, mtvec, t0
#if !GCPT_DIRECT
    lla     t0, line_taken
    li      t1, 1
1:  amoswap.w.aq t1, t1, (t0)
    bnez    t1, 1b
print:
#endif
    lla     a5, text_line
next:
    lbu     a0, (a5)
    addi    a5, a5, 1
    li      t1, ' '
    bgeu    a0, t1, 1f
    beqz    a0, newline
    li      a2, 10
    li      a3, 1000                /* decimal numbers are below 10000 */
    mv      a4, a6
    addi    a0, a0, -1
    beqz    a0, number
    csrr    a4, mhartid
    addi    a0, a0, -1
    beqz    a0, number
    li      a2, 16
    li      a3, 1
    slli    a3, a3, 60
    csrr    a4, mepc
    addi    a0, a0, -1
    beqz    a0, number
    csrr    a4, mcause
    addi    a0, a0, -1
    beqz    a0, number
    csrr    a4, mtval
    addi    a0, a0, -1
    beqz    a0, number
#if GCPT_LOG
    addi    a0, a0, -1
    bnez    a0, words
#endif
    addi    a2, a6, -GCPT_CODE_TRAP
    beqz    a2, next
#if GCPT_DIRECT
    j       newline
#else
    /* text_words holds the strings of codes 1, 2, ... in this order. */
words:
    lla     a5, text_words
    mv      a2, a6
2:  addi    a2, a2, -1
    beqz    a2, next
3:  lbu     a0, (a5)
    addi    a5, a5, 1
    bnez    a0, 3b
    j       2b
#endif
1:  li      a3, 0                   /* as after a last digit: return to next */
    j       3f

/* number: prints a4. a2 = base, a3 = highest power of the base. Clobbers a0, a1, a3, a4, t0-t3. */
number:
    li      a1, 0                   /* not 0 once a digit was printed */
1:  divu    a0, a4, a3
    remu    a4, a4, a3
    divu    a3, a3, a2
    or      a1, a1, a0
    beqz    a3, 2f                  /* the last digit is printed even if it is 0 */
    beqz    a1, 1b
2:  sltiu   t1, a0, 10
    addi    a0, a0, '0'
    bnez    t1, 3f
    addi    a0, a0, 'a' - 10 - '0'
3:  jal     t0, put
    bnez    a3, 1b
    j       next

newline:
    li      a0, '\n'
    jal     t0, put
    beqz    ra, gcpt_end
#if !GCPT_DIRECT
    lla     t0, line_taken
    amoswap.w.rl zero, zero, (t0)
#endif
    csrw    mtvec, t4               /* WARL: a hart may ignore a value that it does not support */
    ret

/*
 * gcpt_end: a6 = signal code, 0 for success. Ends the run through the platform's finisher. Does not return.
 */
    .balign 4
    .global gcpt_end
gcpt_end:
    lla     t0, gcpt_sleep
    csrw    mtvec, t0
#if GCPT_END_NEMU_TRAP
    mv      a0, a6
    .insn r 0x6B, 0, 0, x0, x0, x0
#elif GCPT_END_SIFIVE_TEST
    li      t0, GCPT_FINISHER
    li      t1, 0x5555
    beqz    a6, 1f
    slli    t1, a6, 16
    li      t2, 0x3333
    or      t1, t1, t2
1:  store_device sw, t1, (t0)
#elif GCPT_END_HTIF
    lla     t0, tohost
    slli    t1, a6, 1
    ori     t1, t1, 1
    sd      t1, (t0)
#endif
    /* fall through */

/*
 * gcpt_park, gcpt_sleep: the hart sleeps forever, with all interrupts disabled.
 */
    .balign 4
    .global gcpt_park, gcpt_sleep
gcpt_park:
gcpt_sleep:
    csrw    mie, zero
1:  wfi
    j       1b

/*
 * put: a0 = character, t0 = return address. Clobbers t1-t3. Stops polling a console that never becomes ready.
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
1:  load_device UART_LOAD, t2, GCPT_UART_STATUS(t1)
    andi    t2, t2, GCPT_UART_MASK
    addi    t3, t3, -1
    beqz    t3, 2f
    UART_NOT_READY t2, 1b
2:  store_device UART_STORE, a0, GCPT_UART_DATA(t1)
#endif
    jr      t0

#if !GCPT_DIRECT
/*
 * void gcpt_put_char(int character), for C: a0 = character, standard calling convention.
 */
    .global gcpt_put_char
gcpt_put_char:
    mv      a1, t0
    jal     t0, put
    ret
#endif

    .section .head.text, "a", %progbits
    .type   text_line, @object      /* without it, listings disassemble the text */
text_line:
#if GCPT_LOG
    .asciz "gcpt: error \001 hart \002\006 mepc=0x\003 mcause=0x\004 mtval=0x\005\007"
#else
    .asciz "gcpt: error \001 hart \002\006 mepc=0x\003 mcause=0x\004 mtval=0x\005"
#endif
#if !GCPT_DIRECT
    .type   text_words, @object
text_words:
    GCPT_WORDS
#endif

#if !GCPT_DIRECT
    .section .data, "aw", %progbits
    .balign 8
line_taken:     .dword 0
#endif
