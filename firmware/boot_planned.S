/*
 * Boot of the planned restorer: several harts, or something to find, decode or print. The first hart to arrive (from
 * flash: hart 0) runs the planner in C; the others sleep until the plan is complete. Each hart then restores its block.
 *
 * Shared state is in .data, which the loader initializes; .bss and the stacks hold garbage until they are written.
 *
 * Entry: a1 = device tree. Exit to gcpt_restore: s0 = address of this hart's block, s1 = struct gcpt_plan, s2 = hart
 * number, sp = end of this hart's stack. Exit to gcpt_boot_payload: a1 = device tree.
 */
#include "gcpt_config.h"
#include "macros.h"
#include "reset_macros.h"

    .section .text.boot, "ax", %progbits
    .option norelax                 /* alignment is final */
/* Every hart detects these errors; only hart 0 reports them. */
cut_short:
    li      a0, GCPT_CODE_CUT_SHORT
    j       1f
needs_ram:
    li      a0, GCPT_CODE_NEEDS_RAM
1:  csrr    a2, mhartid
    bnez    a2, park
    j       gcpt_fail_alone

    enable_traps
    .global gcpt_boot
    .balign 4
gcpt_boot:
    reset_hart
#if !GCPT_RAM
    lla     a2, gcpt_base           /* an address below DRAM is flash, where .data is read-only */
    li      a3, GCPT_DRAM
    bltu    a2, a3, needs_ram
#endif
    mv      s9, a1                  /* device tree; C preserves s9 */
    csrr    s2, mhartid
    li      t0, GCPT_HARTS
    bgeu    s2, t0, park
#if !GCPT_RAM
    jal     silence_msip            /* before another hart may set it */
#endif
    /* sp = the end of this hart's stack */
    lla     sp, gcpt_stacks + GCPT_STACK_SIZE
    slli    t0, s2, GCPT_STACK_SHIFT
    add     sp, sp, t0

#if GCPT_RAM
    /* .data is not initialized yet: hart 0 copies it; the others sleep until the planner wakes every possible hart. */
    bnez    s2, 1f
    lla     t0, gcpt_data
    lla     t1, gcpt_data_load
    lla     t2, gcpt_data_end
4:  ld      t3, (t1)
    sd      t3, (t0)
    addi    t0, t0, 8
    addi    t1, t1, 8
    bltu    t0, t2, 4b
#else
    lla     t0, first_arrived
    li      t1, 1
    amoswap.w.aqrl t0, t1, (t0)
    bnez    t0, 1f
#endif
    mv      a0, s2
    lla     a1, gcpt_base
    lla     a2, gcpt_image_end
    jal     gcpt_make_plan
    j       2f
1:
#if GCPT_RAM
    jal     wait_for_msip
    fence
#else
    jal     sleep_until_planned
#endif
2:  lla     s1, gcpt_the_plan
#if GCPT_STOP
    li      t0, GCPT_STOP_LOW       /* bit h: hart h is parked */
    li      t1, 64
    bltu    s2, t1, 3f
    li      t0, GCPT_STOP_HIGH
3:  srl     t0, t0, s2
    andi    t0, t0, 1
    bnez    t0, park
#endif
    ld      t0, PLAN_harts(s1)
#if GCPT_PAYLOAD
    mv      a1, s9
    beqz    t0, gcpt_boot_payload
#endif
    bgeu    s2, t0, park
    ld      s0, PLAN_base(s1)
    ld      t0, PLAN_block_size(s1)
    mul     t0, t0, s2
    add     s0, s0, t0
    j       gcpt_restore
park:
    j       gcpt_park

#if !GCPT_RAM
/*
 * sleep_until_planned: s2 = hart number. Returns when the plan is complete. Sets this hart's bit in gcpt_sleepers; the
 * planner atomically replaces all bits with ones and wakes the harts whose bits were set. So no wake-up is lost, and a
 * hart that does not sleep gets none. Clobbers s3, t0-t2.
 */
sleep_until_planned:
    lla     t0, gcpt_sleepers
    srli    t1, s2, 6
    slli    t1, t1, 3
    add     t0, t0, t1
    li      t1, 1
    sll     t1, t1, s2
    amoor.d.aqrl t0, t1, (t0)
    and     t0, t0, t1
    bnez    t0, 1f
    mv      s3, ra
    jal     wait_for_msip
    mv      ra, s3
1:  fence
    ret
#endif

/*
 * wait_for_msip: s2 = hart number. Sleeps until another hart sets this hart's msip, then clears mie and msip.
 * silence_msip: s2 = hart number. Clears this hart's msip and returns when mip.MSIP reads 0.
 * Both clobber t0, t1.
 */
wait_for_msip:
    li      t0, MIP_MSIP
    csrw    mie, t0
1:  wfi
    csrr    t0, mip
    andi    t0, t0, MIP_MSIP
    beqz    t0, 1b
    csrw    mie, zero
silence_msip:
    li      t0, GCPT_CLINT + GCPT_CLINT_MSIP
    slli    t1, s2, 2
    add     t0, t0, t1
    store_device sw, zero, (t0)
1:  csrr    t1, mip
    andi    t1, t1, MIP_MSIP
    bnez    t1, 1b
    ret

/*
 * gcpt_meet: s1 = plan, s2 = hart number. Returns when all restoring harts have called it. The last hart to arrive
 * writes mtime from hart 0's block before it wakes the others. Clobbers a0-a2, t0-t4, s4.
 */
    .global gcpt_meet
gcpt_meet:
    mv      s4, ra
    lla     t0, met
    li      t1, 1
    amoadd.d.aqrl t0, t1, (t0)
    addi    t0, t0, 1
    ld      t1, PLAN_restored(s1)
    bltu    t0, t1, wait_at_meeting
    ld      t0, PLAN_base(s1)
    ld      t1, PLAN_mtime(s1)
    add     t0, t0, t1
    ld      a0, (t0)
    write_mtime
    fence
    /* Wake every hart of the checkpoint except this one and the parked ones. */
    li      t0, GCPT_CLINT + GCPT_CLINT_MSIP
    ld      t1, PLAN_harts(s1)
    li      t2, 0
1:  beq     t2, s2, 2f
#if GCPT_STOP
    li      t3, GCPT_STOP_LOW
    li      t4, 64
    bltu    t2, t4, 3f
    li      t3, GCPT_STOP_HIGH
3:  srl     t3, t3, t2
    andi    t3, t3, 1
    bnez    t3, 2f
#endif
    li      t3, 1
    store_device sw, t3, (t0)
2:  addi    t0, t0, 4
    addi    t2, t2, 1
    bltu    t2, t1, 1b
    mv      ra, s4
    ret
/*
 * A waiting hart times out after GCPT_PATIENCE ticks, by its own mtimecmp, which the restore overwrites later. Time may
 * jump beyond the timeout when the last hart writes mtime: then all harts have arrived, and the msip follows.
 */
wait_at_meeting:
#if !GCPT_SYSCNT
    li      t3, GCPT_CLINT + GCPT_CLINT_MTIME
    load_device ld, t4, (t3)
    li      t1, GCPT_PATIENCE
    add     t4, t4, t1
    li      t0, GCPT_CLINT + GCPT_CLINT_MTIMECMP
    slli    t1, s2, 3
    add     t0, t0, t1
    store_device sd, t4, (t0)
    li      t0, MIP_MSIP | MIP_MTIP
    csrw    mie, t0
1:  wfi
    csrr    t0, mip
    andi    t0, t0, MIP_MSIP
    bnez    t0, 2f
    load_device ld, t0, (t3)
    bltu    t0, t4, 1b              /* a stale MTIP, from before mtimecmp was written */
    ld      t0, met
    ld      t1, PLAN_restored(s1)
    li      a0, GCPT_CODE_HARTS_MISSING
    bltu    t0, t1, missing
2:
#endif
    jal     wait_for_msip
    mv      ra, s4
    ret
missing:
    j       gcpt_fail

    .section .data, "aw", %progbits
    .balign 8
    .global gcpt_sleepers
gcpt_sleepers:  .dword 0, 0
met:            .dword 0
first_arrived:  .word 0
    .balign 8

    .section .bss, "aw", %nobits
    .balign 16
gcpt_stacks:    .zero GCPT_HARTS * GCPT_STACK_SIZE
#if GCPT_RAM
    .global gcpt_trampolines
gcpt_trampolines: .zero GCPT_HARTS * GCPT_TRAMPOLINE_SIZE
#endif
