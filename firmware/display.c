#include "display.h"

#include <stdbool.h>

#include "console.h"
#include "csr_names.h"

static bool is_displayed(uint64_t hart)
{
    return ((hart < 64 ? (uint64_t)GCPT_DISPLAY_LOW : GCPT_DISPLAY_HIGH) >> (hart & 63)) & 1;
}

static void print_registers(const char *prefix, const uint64_t *registers)
{
    for (int i = 0; i < 32; i++)
        gcpt_printf("%s%-2d %016lx%s", prefix, i, registers[i], i % 4 == 3 ? "\n" : "  ");
}

/* The most significant byte first, as numbers are printed. */
static void print_vectors(const uint8_t *registers, unsigned vlenb)
{
    for (int i = 0; i < 32; i++) {
        gcpt_printf("v%-2d ", i);
        for (unsigned byte = vlenb; byte-- > 0;)
            gcpt_printf("%02x", registers[i * vlenb + byte]);
        gcpt_printf("\n");
    }
}

static void print_csrs(const uint64_t *csrs)
{
    for (unsigned number = 0; number < GCPT_CSR_COUNT; number++)
        if (csrs[number] && gcpt_csr_name(number)[0])
            gcpt_printf("%-14s (0x%03x) %016lx\n", gcpt_csr_name(number), number, csrs[number]);
}

static void print_hart(const struct gcpt_plan *plan, uint64_t hart)
{
    static const char modes[] = "US?M";
    const uint64_t *csrs = gcpt_field(plan, hart, csr_reg);
    uint64_t mode = *gcpt_field(plan, hart, mode);
    uint64_t vlenb = csrs[GCPT_CSR_VLENB] ? csrs[GCPT_CSR_VLENB] : GCPT_DEFAULT_VLENB;
    bool virtual = mode < 3 && (csrs[GCPT_CSR_MSTATUS] >> 39 & 1);
    gcpt_printf("gcpt: state of hart %lu at 0x%lx\n", hart, plan->base + hart * plan->block_size);
    gcpt_printf("pc %016lx  mode %lu (%s%c)\n", *gcpt_field(plan, hart, pc), mode, virtual ? "V" : "", modes[mode & 3]);
    gcpt_printf("mtime %016lx  mtimecmp %016lx\n", *gcpt_field(plan, hart, mtime),
                gcpt_field(plan, hart, mtime_cmp)[hart]);
    print_registers("x", gcpt_field(plan, hart, int_reg));
    print_registers("f", gcpt_field(plan, hart, float_reg));
    if (vlenb <= GCPT_MAX_VLENB)
        print_vectors((const uint8_t *)gcpt_field(plan, hart, vector_reg), vlenb);
    print_csrs(csrs);
}

void gcpt_display(const struct gcpt_plan *plan)
{
    for (uint64_t hart = 0; hart < plan->harts; hart++)
        if (is_displayed(hart))
            print_hart(plan, hart);
}
