/* Preloaded library: at one read of one file, the read fails or the file changes. See faulty_reads.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static char action[16];
static struct stat target;
static int armed, calls, call;

void faulty_arm(const char *file, int at, const char *what)
{
    snprintf(path, sizeof path, "%s", file);
    snprintf(action, sizeof action, "%s", what);
    armed = stat(path, &target) == 0;
    calls = 0;
    call = at;
}

int faulty_disarm(void)
{
    armed = 0;
    return calls;
}

static void change(void)
{
    char other[sizeof path + 8], byte = 0;
    if (!strcmp(action, "cut") && truncate(path, target.st_size / 2))
        perror(path);
    int file = open(path, O_RDWR);
    if (!strcmp(action, "grow") && pwrite(file, path, 100, target.st_size) < 0)
        perror(path);
    if (!strcmp(action, "rewrite") &&
        (pread(file, &byte, 1, target.st_size / 2) < 0 || (byte ^= 1, pwrite(file, &byte, 1, target.st_size / 2) < 0)))
        perror(path);
    close(file);
    snprintf(other, sizeof other, "%s.other", path);
    if (!strcmp(action, "replace") && rename(other, path))
        perror(path);
    if (!strcmp(action, "remove") && unlink(path))
        perror(path);
}

/* 1 if this call fails; *size may shrink. */
static int fault(int fd, size_t *size)
{
    struct stat file;
    if (!armed || fstat(fd, &file) || file.st_ino != target.st_ino || file.st_dev != target.st_dev || ++calls != call)
        return 0;
    armed = 0;
    if (!strcmp(action, "short") && size && *size > 1)
        *size /= 2;
    else
        change();
    int fails = !strcmp(action, "error");
    armed = 1;
    if (fails)
        errno = EIO;
    return fails;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t read(int fd, void *data, size_t size)
{
    return fault(fd, &size) ? -1 : NEXT(read)(fd, data, size);
}

ssize_t pread(int fd, void *data, size_t size, off_t at)
{
    return fault(fd, &size) ? -1 : NEXT(pread)(fd, data, size, at);
}

ssize_t pread64(int fd, void *data, size_t size, off64_t at)
{
    return fault(fd, &size) ? -1 : NEXT(pread64)(fd, data, size, at);
}

off_t lseek(int fd, off_t at, int whence)
{
    return whence >= SEEK_DATA && fault(fd, NULL) ? -1 : NEXT(lseek)(fd, at, whence);
}

off64_t lseek64(int fd, off64_t at, int whence)
{
    return whence >= SEEK_DATA && fault(fd, NULL) ? -1 : NEXT(lseek64)(fd, at, whence);
}
