/*
 * The extended state: a list of writes in misc_reserve of this hart's block (docs/extended.md).
 *
 * gcpt_extended: a part of restore.S, which calls it before the harts meet: no hart leaves before all devices have their
 * state. Planned: s0, s1 as in restore.S. Writes the entries in order; ends the run with the code EXTENDED at one that it
 * does not know or whose address is of no device of the platform. Interrupts are disabled, so that a write may raise some.
 * Clobbers a0-a5, t0, t1, t3, t4, ra, s4.
 *
 * Registers while it runs; CSR writes may trap, and traps clobber all but a0-a3 and the s registers:
 * a0 = entry, a1 = number of entries behind it, a2 = its place, a3 = its value, s4 = return address.
 */
#include "gcpt_config.h"
#include "reset_macros.h"
#include "restore_macros.h"

/* Offsets in the list's header and in an entry. */
#define LIST_FORM       8           /* version and size of an entry */
#define LIST_COUNT      12
#define LIST_ENTRIES    16
#define ENTRY_KIND      0
#define ENTRY_WIDTH     1
#define ENTRY_CSR       2           /* of a device: number of further registers */
#define ENTRY_LEVEL     3           /* high byte of the CSR number: 1 S, 2 VS, 3 M, 7 a trigger */
#define ENTRY_GUEST     4
#define ENTRY_PLACE     8
#define ENTRY_VALUE     16
#define ENTRY_SIZE      24
#define LEVEL_VS        2

#define HSTATUS_VGEIN_SHIFT 12
#define VGEIN_BITS      6
#define LEVEL_TRIGGER   7
/* Windows of a level that have registers, and the lower byte of the first one's CSR number. */
#define WINDOWS         3
#define FIRST_WINDOW    0x51
#define FIRST_TRIGGER_WINDOW 0xa1   /* tdata1 */
#define WINDOW_CODE_SHIFT 4         /* 4 instructions of 4 bytes */

    .section .text.extended, "ax", %progbits
    .global gcpt_extended
gcpt_extended:
    mv      s4, ra
#if GCPT_DIRECT
    lla     a0, gcpt_base + LAYOUT_misc_reserve + GCPT_EXTENDED_OFFSET
#else
    ld      a0, PLAN_misc_reserve(s1)
    beqz    a0, no_list
    add     a0, a0, s0
    addi    a0, a0, GCPT_EXTENDED_OFFSET
#endif
    ld      a2, (a0)
    ld      a3, list_magic
    bne     a2, a3, no_list
    lwu     a2, LIST_FORM(a0)
    li      a3, GCPT_EXTENDED_VERSION | ENTRY_SIZE << 16
    bne     a2, a3, bad_list
    lwu     a1, LIST_COUNT(a0)
    li      a3, GCPT_EXTENDED_ENTRIES
    bltu    a3, a1, bad_list
    addi    a0, a0, LIST_ENTRIES - ENTRY_SIZE
next_entry:
    addi    a0, a0, ENTRY_SIZE
    beqz    a1, list_done
    addi    a1, a1, -1
    lbu     t0, ENTRY_KIND(a0)
    lbu     t1, ENTRY_WIDTH(a0)
    lhu     t3, ENTRY_CSR(a0)
    lwu     t4, ENTRY_GUEST(a0)
    ld      a2, ENTRY_PLACE(a0)
    ld      a3, ENTRY_VALUE(a0)
    addi    t0, t0, -GCPT_EXTENDED_DEVICE
    bnez    t0, selected

    /* t3 + 1 device registers from a2 on: inside a device, aligned, and the value fits. */
    bnez    t4, bad_list
    addi    t3, t3, 1
    lla     t4, devices
1:  ld      a4, (t4)                /* bytes of the device; 0 ends the table */
    beqz    a4, bad_list
    ld      a5, 8(t4)
    addi    t4, t4, 16
    sub     a5, a2, a5
    bgeu    a5, a4, 1b
    sub     a4, a4, a5
    mul     a5, t3, t1
    bltu    a4, a5, bad_list
    addi    a4, t1, -1              /* of a width of 0: all ones */
    and     a5, a4, a2
    bnez    a5, bad_list
    and     a4, a4, t1
    bnez    a4, bad_list            /* no power of 2 */
    addi    a4, t1, -8
    beqz    a4, write
    bgtz    a4, bad_list
    slli    a4, t1, 3
    srl     a4, a3, a4
    bnez    a4, bad_list
write:
    li      a4, 2
    bltu    t1, a4, byte
    beq     t1, a4, half
    li      a4, 4
    beq     t1, a4, word
    store_device sd, a3, (a2)
    j       next_register
byte:
    store_device sb, a3, (a2)
    j       next_register
half:
    store_device sh, a3, (a2)
    j       next_register
word:
    store_device sw, a3, (a2)
next_register:
    add     a2, a2, t1
    addi    t3, t3, -1
    bnez    t3, write
    j       next_entry

no_list:
    jr      ra
bad_list:
    li      a0, GCPT_CODE_EXTENDED
    j       gcpt_fail
list_done:
#if !GCPT_DIRECT
    fence   o, w                    /* before other harts learn that this one arrived */
#endif
    mv      ra, s4
    ret

    /* A register behind a selector. t3 = the window's CSR number, t4 = the guest's file. */
selected:
    addi    t0, t0, GCPT_EXTENDED_DEVICE - GCPT_EXTENDED_INDIRECT
    bnez    t0, bad_list
    addi    t1, t1, -8
    bnez    t1, bad_list
    andi    a4, t3, 0xff
    addi    a4, a4, -FIRST_WINDOW
    li      a5, WINDOWS
    srli    t3, t3, 8
    addi    t3, t3, -1
    bgeu    t3, a5, trigger         /* there are 3 levels, too */
level_known:
    bgeu    a4, a5, bad_list
    mul     a5, t3, a5
    add     a5, a5, a4
    slli    a5, a5, WINDOW_CODE_SHIFT
    lla     a3, windows
    add     a3, a3, a5
    addi    t3, t3, 1 - LEVEL_VS
    beqz    t3, select_guest
    bnez    t4, bad_list
file_selected:
    mv      t0, a3
    ld      a2, ENTRY_PLACE(a0)
    ld      a3, ENTRY_VALUE(a0)
    jr      t0                      /* x5: with Zicfilp, no landing pad is needed at its target */
select_guest:
    srli    a4, t4, VGEIN_BITS
    bnez    a4, bad_list
    load_csr a2, CSR_HSTATUS
    li      a4, ((1 << VGEIN_BITS) - 1) << HSTATUS_VGEIN_SHIFT
    or      a2, a2, a4
    xor     a2, a2, a4
    slli    t4, t4, HSTATUS_VGEIN_SHIFT
    or      a2, a2, t4
    csrw    CSR_HSTATUS, a2
    j       file_selected
trigger:
    addi    t3, t3, 1 - LEVEL_TRIGGER
    bnez    t3, bad_list
    li      t3, WINDOWS             /* the level behind the others */
    addi    a4, a4, FIRST_WINDOW - FIRST_TRIGGER_WINDOW
    bnez    a4, level_known
    srli    a2, a3, 60              /* tdata1: m is bit 6 in types 2 and 6, bit 9 in types 3 to 5 */
    andi    a2, a2, 3
    addi    a2, a2, -2
    li      t0, 1 << 6
    beqz    a2, 1f
    li      t0, 1 << 9
1:  and     t0, t0, a3
    beqz    t0, level_known
    j       bad_list                /* in M mode it could fire here */
written:
    lbu     t0, ENTRY_LEVEL(a0)
    addi    t0, t0, -LEVEL_VS
    bnez    t0, next_entry
    load_csr a2, CSR_HSTATUS
    csrw    CSR_HSTATUS, a2
    j       next_entry

    /* On a hart without the selector, all three trap, and a2 is no value to lose. */
    .option push
    .option norvc
    .balign 4
windows:
    .irp selector, CSR_SISELECT, CSR_VSISELECT, CSR_MISELECT, CSR_TSELECT
    .irp window, 1, 2, 3
    csrrw   a2, \selector, a2
    csrw    \selector + \window, a3
    csrw    \selector, a2
    j       written
    .endr
    .endr
    .option pop

    .section .rodata.extended, "a", %progbits
    .balign 8
    .type   list_magic, @object
list_magic:
    .dword  GCPT_EXTENDED_MAGIC
    .type   devices, @object
devices:
    GCPT_EXTENDED_DEVICES
