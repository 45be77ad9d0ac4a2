/*
 * A plugin of QEMU that finds where an instruction of 4 bytes is executed, for --start-at (machines/markers.py).
 *
 * Arguments: socket=PATH, a Unix socket; word=HEX, the instruction. For each of the first EXECUTIONS executions, whose
 * lines the socket's buffer has room for, it writes a line there: the virtual address in hexadecimal. An instruction
 * that traps counts, too.
 */
#include "plugin.h"

#define EXECUTIONS 1000
static uint32_t word;

static void execute(unsigned int vcpu, void *address)
{
    static unsigned int executions;

    (void)vcpu;
    if (executions++ < EXECUTIONS)
        dprintf(connection, "%" PRIxPTR "\n", (uintptr_t)address);
}

static uint32_t word_of(const struct qemu_plugin_insn *instruction)
{
    uint32_t data;
#if API_VERSION < 3
    memcpy(&data, qemu_plugin_insn_data(instruction), sizeof data);
#else
    qemu_plugin_insn_data(instruction, &data, sizeof data);
#endif
    return data;
}

static void translate(uint64_t plugin, struct qemu_plugin_tb *tb)
{
    (void)plugin;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(tb, i);
        if (qemu_plugin_insn_size(instruction) == sizeof word && word_of(instruction) == word)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, execute, NO_REGISTERS,
                                                   (void *)(uintptr_t)qemu_plugin_insn_vaddr(instruction));
    }
}

EXPORT int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv)
{
    static const char option[] = "word=";

    (void)info;
    if (argc != 2 || strncmp(argv[1], option, sizeof option - 1) || connect_to(argv[0]))
        return -1;
    word = (uint32_t)strtoul(argv[1] + sizeof option - 1, NULL, 16);
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translate);
    return 0;
}
