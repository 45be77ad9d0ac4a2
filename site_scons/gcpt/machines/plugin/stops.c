/*
 * A plugin of QEMU that counts the instructions of one hart and holds it at a count, for machines/stops.py.
 *
 * Arguments: socket=PATH, a Unix socket; hart=N. A line with a count arrives there: after so many instructions the hart
 * is held before the next one, and "held" reports it. Each line is answered by the count of instructions that the hart
 * has started. One with another count lets a held hart go on: slowly, so that a stop of the machine catches up with it,
 * until the next line.
 */
#include "plugin.h"

#include <pthread.h>

#define SLOW_MICROSECONDS 5000
static unsigned int hart;
static uint64_t started, target;
static int is_held, is_slow;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void hold(void)
{
    pthread_mutex_lock(&lock);
    dprintf(connection, "held\n");
    for (is_held = 1; is_held;)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void execute(unsigned int vcpu, void *unused)
{
    (void)unused;
    if (vcpu != hart)
        return;
    if (__atomic_load_n(&is_slow, __ATOMIC_RELAXED))
        usleep(SLOW_MICROSECONDS);
    if (started == __atomic_load_n(&target, __ATOMIC_RELAXED) && started)
        hold();
    __atomic_store_n(&started, started + 1, __ATOMIC_RELAXED);
}

static void translate(uint64_t plugin, struct qemu_plugin_tb *tb)
{
    (void)plugin;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, i), execute, NO_REGISTERS, NULL);
}

static void go_on(uint64_t next)
{
    pthread_mutex_lock(&lock);
    if (!is_held || next != target) {
        __atomic_store_n(&target, next, __ATOMIC_RELAXED);
        __atomic_store_n(&is_slow, is_held, __ATOMIC_RELAXED);
        is_held = 0;
        pthread_cond_signal(&changed);
    }
    pthread_mutex_unlock(&lock);
}

static void *answer(void *unused)
{
    FILE *in = checked(fdopen(connection, "r"));
    char line[sizeof "18446744073709551615\n"];

    while (fgets(line, sizeof line, in)) {
        go_on(strtoull(line, NULL, 10));
        dprintf(connection, "%" PRIu64 "\n", __atomic_load_n(&started, __ATOMIC_RELAXED));
    }
    go_on(0); /* a held hart would keep QEMU from its end */
    return unused;
}

EXPORT int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv)
{
    static const char option[] = "hart=";
    pthread_t thread;

    (void)info;
    if (argc != 2 || strncmp(argv[1], option, sizeof option - 1) || connect_to(argv[0]))
        return -1;
    hart = (unsigned int)strtoul(argv[1] + sizeof option - 1, NULL, 10);
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translate);
    return pthread_create(&thread, NULL, answer, NULL);
}
