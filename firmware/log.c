#include "log.h"

#include <stdbool.h>

#include "console.h"
#include "csr_names.h"

#define OPCODE_MASK 0x7f
#define OPCODE_SYSTEM 0x73
#define FUNCT3_CSR 0x3000 /* not 0 in the CSR instructions, 0 in ecall, wfi, mret, ... */
#define RS1_MASK 0xf8000

void gcpt_log_start(uint64_t hart, uint64_t image, uint64_t image_end)
{
    gcpt_printf("gcpt: %s, hart %lu plans; restorer at 0x%lx-0x%lx\n", GCPT_MODE_NAME, hart, image, image_end);
}

void gcpt_log_header(uint64_t address)
{
    gcpt_printf("gcpt: protobuf header at 0x%lx\n", address);
}

void gcpt_log_plan(const struct gcpt_plan *plan)
{
    gcpt_printf("gcpt: checkpoint of %lu hart(s) at 0x%lx, %lu to restore\n", plan->harts, plan->base, plan->restored);
    for (uint64_t hart = 0; hart < plan->harts; hart++)
        gcpt_printf("gcpt: hart %lu: pc 0x%lx mode %lu\n", hart, *gcpt_field(plan, hart, pc),
                    *gcpt_field(plan, hart, mode));
#if GCPT_LOG_DEBUG
    gcpt_printf("gcpt: blocks of 0x%lx bytes\n", plan->block_size);
#define GCPT_FIELD(name, offset) gcpt_printf("gcpt: layout " #name " 0x%lx\n", plan->layout.name);
    GCPT_LAYOUT_FIELDS(GCPT_FIELD)
#undef GCPT_FIELD
#endif
}

void gcpt_log_payload(void)
{
    gcpt_printf("gcpt: no checkpoint, to the payload at 0x%lx\n", (uint64_t)GCPT_PAYLOAD_POSITION);
}

void gcpt_log_skipped(uint32_t instruction)
{
    uint64_t hart;
    __asm__ volatile("csrr %0, mhartid" : "=r"(hart));
    bool is_csr = (instruction & OPCODE_MASK) == OPCODE_SYSTEM && (instruction & FUNCT3_CSR);
    if (is_csr && (instruction & RS1_MASK) == 0)
        return; /* a read back; the write to the same CSR was already reported */
    gcpt_console_lock();
    if (is_csr)
        gcpt_printf("gcpt: hart %lu has no CSR 0x%x %s, skipped\n", hart, instruction >> 20,
                    gcpt_csr_name(instruction >> 20));
    else
        gcpt_printf("gcpt: hart %lu cannot execute 0x%08x, skipped\n", hart, instruction);
    gcpt_console_unlock();
}
