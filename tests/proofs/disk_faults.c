/* Failures of the disk, for the processes that `disk_faults.py` starts with this library in LD_PRELOAD.

   `disk_faults_set` arms it: of the calls of some kinds on files whose path contains a text, the first `skip` are made
   as usual, and the next `times` fail with an error number, or end the process. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { READ = 1, WRITE = 2, SYNC = 4, TRUNCATE = 8, OPEN = 16, NAME = 32 };
enum { KILL_BEFORE = -1, KILL_HALFWAY = -2, KILL_AFTER = -3, SHORT_WRITE = -4 };

static volatile int kinds_set;
static volatile int action_set;
static char text_set[256];
static long skip_set, times_set, seen;

void disk_faults_set(int kinds, const char *text, long skip, long times, int action) {
    kinds_set = 0;
    strncpy(text_set, text, sizeof text_set - 1);
    skip_set = skip;
    times_set = times;
    action_set = action;
    __atomic_store_n(&seen, 0, __ATOMIC_SEQ_CST);
    kinds_set = kinds;
}

/* How many calls there were that might have failed. */
long disk_faults_seen(void) { return __atomic_load_n(&seen, __ATOMIC_SEQ_CST); }

/* Whether a path has the text, which is its end if a "$" follows. */
static int is_meant(const char *path) {
    size_t length = strlen(text_set), whole = strlen(path);
    if (length == 0 || text_set[length - 1] != '$') return strstr(path, text_set) != NULL;
    length--;
    return whole >= length && strncmp(path + whole - length, text_set, length) == 0;
}

static int is_due_at(int kind, const char *path) {
    if (!(kinds_set & kind) || !is_meant(path)) return 0;
    long number = __atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
    return number >= skip_set && number < skip_set + times_set;
}

static int is_due(int kind, int fd) {
    char link[64], path[4096];
    if (!(kinds_set & kind)) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_due_at(kind, path);
}

static void end(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether the call has to fail; it does not return where the process has to end before the call. */
static int fails(void) {
    if (action_set == KILL_BEFORE || action_set == KILL_HALFWAY) end();
    if (action_set <= 0) return 0;
    errno = action_set;
    return 1;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define AFTER(result) \
    do { __typeof__(result) value = (result); if (action_set == KILL_AFTER) end(); return value; } while (0)

#define READS(name, parameters, arguments) \
    ssize_t name parameters { REAL(name); if (!is_due(READ, fd)) return real arguments; \
        if (fails()) return -1; AFTER(real arguments); }
READS(read, (int fd, void *data, size_t size), (fd, data, size))
READS(pread, (int fd, void *data, size_t size, off_t at), (fd, data, size, at))
READS(pread64, (int fd, void *data, size_t size, off64_t at), (fd, data, size, at))

#define WRITES(name, parameters, arguments) \
    ssize_t name parameters { REAL(name); if (!is_due(WRITE, fd)) return real arguments; \
        if (action_set == KILL_HALFWAY || action_set == SHORT_WRITE) { \
            size = size > 1 ? size / 2 : size; ssize_t done = real arguments; \
            if (action_set == KILL_HALFWAY) end(); return done; } \
        if (fails()) return -1; AFTER(real arguments); }
WRITES(write, (int fd, const void *data, size_t size), (fd, data, size))
WRITES(pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
WRITES(pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))

#define ON_FILE(name, kind, parameters, arguments) \
    int name parameters { REAL(name); if (!is_due(kind, fd)) return real arguments; \
        if (fails()) return -1; AFTER(real arguments); }
ON_FILE(fsync, SYNC, (int fd), (fd))
ON_FILE(fdatasync, SYNC, (int fd), (fd))
ON_FILE(ftruncate, TRUNCATE, (int fd, off_t size), (fd, size))
ON_FILE(ftruncate64, TRUNCATE, (int fd, off64_t size), (fd, size))

#define ON_PATH(name, kind, parameters, arguments) \
    int name parameters { REAL(name); if (!is_due_at(kind, path)) return real arguments; \
        if (fails()) return -1; AFTER(real arguments); }
ON_PATH(rename, NAME, (const char *path, const char *target), (path, target))
ON_PATH(renameat, NAME, (int from, const char *path, int to, const char *target), (from, path, to, target))
ON_PATH(link, NAME, (const char *path, const char *target), (path, target))
ON_PATH(unlink, NAME, (const char *path), (path))
ON_PATH(unlinkat, NAME, (int folder, const char *path, int flags), (folder, path, flags))
ON_PATH(mkdir, NAME, (const char *path, mode_t mode), (path, mode))

#define MODE(flags, mode) \
    do { mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); \
        mode = va_arg(rest, mode_t); va_end(rest); } } while (0)
#define OPENS(name) \
    int name(const char *path, int flags, ...) { mode_t mode; MODE(flags, mode); REAL(name); \
        if (!is_due_at(OPEN, path)) return real(path, flags, mode); \
        if (fails()) return -1; AFTER(real(path, flags, mode)); }
OPENS(open)
OPENS(open64)
#define OPENS_AT(name) \
    int name(int folder, const char *path, int flags, ...) { mode_t mode; MODE(flags, mode); REAL(name); \
        if (!is_due_at(OPEN, path)) return real(folder, path, flags, mode); \
        if (fails()) return -1; AFTER(real(folder, path, flags, mode)); }
OPENS_AT(openat)
OPENS_AT(openat64)
