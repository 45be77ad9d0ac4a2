/*
 * What the plugins of QEMU share: the part of its plugin API that they use, and the socket that they report to.
 *
 * API_VERSION: the version of QEMU's plugin API, 1 before QEMU 9.0, 3 from QEMU 9.1 on, else 2.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* The same in QEMU 7.2 to 10, but for the last one. */
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { NO_REGISTERS };
extern void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, void (*)(uint64_t, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned int vcpu, void *),
                                                   int flags, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
extern uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
#if API_VERSION < 3
extern const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
#else
extern size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *, void *, size_t);
#endif

EXPORT int qemu_plugin_version = API_VERSION;

static int connection;

static inline void *checked(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

/* Connect to the socket of the plugin's argument socket=PATH; nonzero on an error. */
static inline int connect_to(const char *argument)
{
    static const char option[] = "socket=";
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    if (strncmp(argument, option, sizeof option - 1) || strlen(argument) >= sizeof option - 1 + sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, argument + sizeof option - 1);
    connection = socket(AF_UNIX, SOCK_STREAM, 0);
    return connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) ? -1 : 0;
}
