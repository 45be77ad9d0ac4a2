/*
 * Makes one system call of a Python process fail once. Preloaded; tests/support/faulty.py sets the variables:
 *   FAULT_UNDER  a folder: only calls on files under it and on sockets count, and calls that have no file
 *   FAULT_LOG    a file that gets a line for each of these calls, "CALL FILE", and "! CALL FILE" for the failed one
 *   FAULT_CALL, FAULT_AT, FAULT_ERRNO  fail the call of this name with this number (from 1) with this errno
 * Of the processes that this one starts, only workers of multiprocessing have the variables and the library: the names
 * of their calls begin with "worker:".
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t process;
static int log_fd = -1, error;
static long at, count;
static char under[PATH_MAX], chosen[64];
static const char *role = "";
/* The variables as they were, for workers. */
static char kept[6][PATH_MAX + 32];

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

/* Keep a variable, and take it from the processes that this one starts. */
static void take(int number, const char *name)
{
    snprintf(kept[number], sizeof(kept[number]), "%s=%s", name, variable(name));
    unsetenv(name);
}

/* The command line of a worker of multiprocessing has these words. */
static bool is_worker(const char *words)
{
    return strstr(words, "multiprocessing.spawn") != NULL;
}

static void set_role(void)
{
    char words[4096];
    int fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/cmdline", O_RDONLY | O_CLOEXEC, 0);
    long length = syscall(SYS_read, fd, words, sizeof(words) - 1);

    syscall(SYS_close, fd);
    for (long i = 0; i < length; i++)
        if (words[i] == 0)
            words[i] = ' ';
    words[length < 0 ? 0 : length] = 0;
    role = is_worker(words) ? "worker:" : "";
}

__attribute__((constructor)) static void set_up(void)
{
    set_role();
    snprintf(under, sizeof(under), "%s", variable("FAULT_UNDER"));
    snprintf(chosen, sizeof(chosen), "%s", variable("FAULT_CALL"));
    at = atol(variable("FAULT_AT"));
    error = atoi(variable("FAULT_ERRNO"));
    int fd = syscall(SYS_openat, AT_FDCWD, variable("FAULT_LOG"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
    syscall(SYS_close, fd);
    take(0, "LD_PRELOAD");
    take(1, "FAULT_UNDER");
    take(2, "FAULT_LOG");
    take(3, "FAULT_CALL");
    take(4, "FAULT_AT");
    take(5, "FAULT_ERRNO");
    process = getpid();
}

/* file: an absolute path, the name of a socket, or "-" for a call without a file. */
static bool fails(const char *call, const char *file)
{
    char line[PATH_MAX + 64], name[64];

    if (getpid() != process)
        return false;
    if (strncmp(file, under, strlen(under)) != 0 && strncmp(file, "socket:", 7) != 0 && strcmp(file, "-") != 0)
        return false;
    snprintf(name, sizeof(name), "%s%s", role, call);
    bool failing = strcmp(name, chosen) == 0 && ++count == at;
    int length = snprintf(line, sizeof(line), "%s%s %s\n", failing ? "! " : "", name, file);

    syscall(SYS_write, log_fd, line, length);
    if (failing)
        errno = error;
    return failing;
}

static bool fails_fd(const char *call, int fd)
{
    char link[32], file[PATH_MAX] = "";

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    int before = errno;

    syscall(SYS_readlinkat, AT_FDCWD, link, file, sizeof(file) - 1);
    errno = before;
    return fails(call, file);
}

static bool fails_at(const char *call, int folder, const char *name)
{
    char link[32], file[2 * PATH_MAX] = "";

    if (name[0] == '/')
        return fails(call, name);
    snprintf(link, sizeof(link), "/proc/self/%s", "cwd");
    if (folder != AT_FDCWD)
        snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
    int before = errno;
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, file, PATH_MAX - 1);

    errno = before;
    if (length >= 0)
        snprintf(file + length, sizeof(file) - length, "/%s", name);
    return fails(call, file);
}

#define ON_FD(call, type, name, fd, parameters, arguments) \
    type name parameters \
    { \
        return fails_fd(call, fd) ? -1 : NEXT(name) arguments; \
    }
#define ON_NAME(call, type, name, folder, file, parameters, arguments) \
    type name parameters \
    { \
        return fails_at(call, folder, file) ? -1 : NEXT(name) arguments; \
    }
#define ON_NOTHING(call, type, name, parameters, arguments) \
    type name parameters \
    { \
        return fails(call, "-") ? -1 : NEXT(name) arguments; \
    }

int open64(const char *file, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;

    va_end(list);
    return fails_at("open", AT_FDCWD, file) ? -1 : NEXT(open64)(file, flags, mode);
}

int openat64(int folder, const char *file, int flags, ...)
{
    va_list list;

    va_start(list, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;

    va_end(list);
    return fails_at("open", folder, file) ? -1 : NEXT(openat64)(folder, file, flags, mode);
}

void *mmap64(void *start, size_t length, int protection, int flags, int fd, off64_t offset)
{
    if (fd >= 0 && fails_fd("mmap", fd))
        return MAP_FAILED;
    return NEXT(mmap64)(start, length, protection, flags, fd, offset);
}

DIR *opendir(const char *file)
{
    return fails_at("opendir", AT_FDCWD, file) ? NULL : NEXT(opendir)(file);
}

DIR *fdopendir(int fd)
{
    return fails_fd("opendir", fd) ? NULL : NEXT(fdopendir)(fd);
}

struct dirent64 *readdir64(DIR *folder)
{
    return fails_fd("readdir", dirfd(folder)) ? NULL : NEXT(readdir64)(folder);
}

int execv(const char *file, char *const words[])
{
    static char *variables[4096];
    size_t length = 0;
    bool worker = false;

    for (size_t i = 0; words[i] != NULL; i++)
        worker = worker || is_worker(words[i]);
    for (; environ[length] != NULL && length < 4000; length++)
        variables[length] = environ[length];
    for (size_t i = 0; worker && i < 6; i++)
        variables[length++] = kept[i];
    return NEXT(execve)(file, words, variables);
}

/* A process of its own also for vfork(), which cannot be called from a function that returns. */
pid_t vfork(void)
{
    return fails("fork", "-") ? -1 : NEXT(fork)();
}

/* clang-format off */
ON_FD("read", ssize_t, read, fd, (int fd, void *data, size_t size), (fd, data, size))
ON_FD("pread", ssize_t, pread64, fd, (int fd, void *data, size_t size, off64_t from), (fd, data, size, from))
ON_FD("write", ssize_t, write, fd, (int fd, const void *data, size_t size), (fd, data, size))
ON_FD("pwrite", ssize_t, pwrite64, fd, (int fd, const void *data, size_t size, off64_t to), (fd, data, size, to))
ON_FD("copy", ssize_t, copy_file_range, to,
      (int from, off64_t *in, int to, off64_t *out, size_t size, unsigned int flags), (from, in, to, out, size, flags))
ON_FD("copy", ssize_t, sendfile64, to, (int to, int from, off64_t *in, size_t size), (to, from, in, size))
ON_FD("fsync", int, fsync, fd, (int fd), (fd))
ON_FD("ftruncate", int, ftruncate64, fd, (int fd, off64_t size), (fd, size))
ON_FD("lseek", off64_t, lseek64, fd, (int fd, off64_t to, int whence), (fd, to, whence))
ON_FD("fstat", int, fstat64, fd, (int fd, struct stat64 *status), (fd, status))
ON_FD("chmod", int, fchmod, fd, (int fd, mode_t mode), (fd, mode))
ON_NAME("truncate", int, truncate64, AT_FDCWD, file, (const char *file, off64_t size), (file, size))
ON_NAME("rename", int, rename, AT_FDCWD, from, (const char *from, const char *to), (from, to))
ON_NAME("unlink", int, unlink, AT_FDCWD, file, (const char *file), (file))
ON_NAME("unlink", int, unlinkat, folder, file, (int folder, const char *file, int flags), (folder, file, flags))
ON_NAME("mkdir", int, mkdir, AT_FDCWD, file, (const char *file, mode_t mode), (file, mode))
ON_NAME("rmdir", int, rmdir, AT_FDCWD, file, (const char *file), (file))
ON_NAME("chmod", int, chmod, AT_FDCWD, file, (const char *file, mode_t mode), (file, mode))
ON_NAME("readlink", ssize_t, readlink, AT_FDCWD, file, (const char *file, char *data, size_t size), (file, data, size))
ON_NAME("stat", int, stat64, AT_FDCWD, file, (const char *file, struct stat64 *status), (file, status))
ON_NAME("stat", int, lstat64, AT_FDCWD, file, (const char *file, struct stat64 *status), (file, status))
ON_NAME("stat", int, fstatat64, folder, file, (int folder, const char *file, struct stat64 *status, int flags),
        (folder, file, status, flags))
ON_FD("connect", int, connect, fd, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
ON_FD("bind", int, bind, fd, (int fd, const struct sockaddr *to, socklen_t size), (fd, to, size))
ON_FD("listen", int, listen, fd, (int fd, int waiting), (fd, waiting))
ON_FD("send", ssize_t, send, fd, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
ON_FD("recv", ssize_t, recv, fd, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
ON_NOTHING("socket", int, socket, (int family, int type, int protocol), (family, type, protocol))
ON_NOTHING("socketpair", int, socketpair, (int family, int type, int protocol, int pair[2]),
           (family, type, protocol, pair))
ON_NOTHING("fork", pid_t, fork, (void), ())
ON_NOTHING("pipe", int, pipe2, (int pair[2], int flags), (pair, flags))
/* clang-format on */
