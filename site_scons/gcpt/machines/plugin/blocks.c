/*
 * A plugin of QEMU that counts the executed instructions of each basic block, for gcpt profile (machines/profile.py).
 *
 * Argument: socket=PATH, a Unix socket. Each byte that arrives there is answered by a line with the counts since the
 * one before, as SimPoint reads them: T:block:instructions :block:instructions ... Blocks are numbered from 1 in the
 * order of their first translation. The machine must be stopped meanwhile.
 */
#include "plugin.h"

#include <pthread.h>

struct block {
    uint64_t start; /* virtual address */
    uint64_t executed;
    struct block *next; /* with the same hash */
};

#define BUCKETS (1 << 16)
static struct block *buckets[BUCKETS];
static struct block **blocks; /* by number, from 0 */
static size_t count, room;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct block *find(uint64_t start)
{
    struct block **bucket = &buckets[start / 2 % BUCKETS];
    for (struct block *each = *bucket; each; each = each->next)
        if (each->start == start)
            return each;
    if (count == room) {
        room = room ? 2 * room : 1024;
        blocks = checked(realloc(blocks, room * sizeof *blocks));
    }
    struct block *new = checked(calloc(1, sizeof *new));
    new->start = start;
    new->next = *bucket;
    return *bucket = blocks[count++] = new;
}

static void execute(unsigned int vcpu, void *executed)
{
    (void)vcpu;
    ++*(uint64_t *)executed;
}

static void translate(uint64_t plugin, struct qemu_plugin_tb *tb)
{
    (void)plugin;
    pthread_mutex_lock(&lock);
    struct block *block = find(qemu_plugin_tb_vaddr(tb));
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
        qemu_plugin_register_vcpu_insn_exec_cb(qemu_plugin_tb_get_insn(tb, i), execute, NO_REGISTERS, &block->executed);
}

static void *answer(void *unused)
{
    FILE *out = checked(fdopen(connection, "w"));
    char byte;
    while (read(connection, &byte, 1) == 1) {
        pthread_mutex_lock(&lock);
        fputc('T', out);
        for (size_t i = 0; i < count; i++) {
            if (blocks[i]->executed)
                fprintf(out, ":%zu:%" PRIu64 " ", i + 1, blocks[i]->executed);
            blocks[i]->executed = 0;
        }
        pthread_mutex_unlock(&lock);
        fputc('\n', out);
        fflush(out);
    }
    return unused;
}

EXPORT int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv)
{
    pthread_t thread;

    (void)info;
    if (argc != 1 || connect_to(argv[0]))
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translate);
    return pthread_create(&thread, NULL, answer, NULL);
}
