/* A disk that forgets, fills up, fails, or stops the process at a point of its choice.
 *
 * Loaded before the C library (LD_PRELOAD), this stands between a process and what it does to the
 * files under DISK_ROOT. Every change and every sync is written to DISK_LOG in the order in which
 * they happened, and so is what goes to standard output, by which the process acknowledges: a test
 * rebuilds from that what a loss of power at any moment may leave. `interpose.rs` reads the log.
 *
 * DISK_FAULT = "<action> <n> <point>" makes something happen at the n-th time of a point. Points
 * are named by a kind of file and an operation, such as `log sync`, `list write`, `current rename`;
 * the kind `any` is every file. RocksDB's diary (LOG) does not count, and is not modelled. Actions:
 *
 *   kill-before, kill-after   SIGKILL before the operation, or after it
 *   kill-within               SIGKILL when half of what is to be written is written
 *   full                      from then on nothing that is written fits: ENOSPC after half of it
 *   fail                      EIO, this once
 *
 * Every operation holds one lock, so that the log has one order. What is not modelled and would
 * change files (mappings, writev, splice) ends the process with a message instead of passing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum operation { OPEN = 1, WRITE, SYNC, TRUNCATE, RENAME, UNLINK, MKDIR, ACKNOWLEDGE, POINT };

static const char *const NAMES[] = {
    "", "make", "write", "sync", "truncate", "rename", "delete", "make", "", "",
};

/* The beginning of a record; `first` and `second` bytes follow. Little-endian, as memory is. */
struct __attribute__((packed)) header {
    uint8_t operation;
    uint8_t flags; /* of OPEN: 1 creates, 2 truncates */
    uint32_t handle;
    uint64_t offset;
    uint32_t first;
    uint32_t second;
};

/* What a descriptor stands for. The inode tells when the number was closed and used again. */
struct file {
    uint32_t handle;
    dev_t device;
    ino_t inode;
    char path[PATH_MAX];
};

#define DESCRIPTORS 1024
static struct file *files[DESCRIPTORS];
static uint32_t handles;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *root;
static size_t root_length;
static int out = -1;

static char action[16], point[64];
static long countdown;
static int full;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("DISK_ROOT");
    const char *log = getenv("DISK_LOG");
    const char *fault = getenv("DISK_FAULT");
    if (path == NULL) return;
    if (log != NULL) {
        out = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (out < 0) abort();
    }
    if (fault != NULL && sscanf(fault, "%15s %ld %63[^\n]", action, &countdown, point) != 3) abort();
    root_length = strlen(path);
    root = path;
}

/* Whether a file is below the root, and not RocksDB's diary. */
static int is_modelled(const char *path) {
    if (root == NULL || path == NULL || strncmp(path, root, root_length) != 0) return 0;
    if (path[root_length] != '/' && path[root_length] != 0) return 0;
    const char *name = strrchr(path, '/');
    return strcmp(name, "/LOG") != 0 && strncmp(name, "/LOG.old", 8) != 0;
}

static void record(enum operation operation, uint8_t flags, uint32_t handle, uint64_t offset,
                   const void *first, size_t first_length, const void *second, size_t second_length) {
    if (out < 0) return;
    struct header header = {operation, flags, handle, offset, first_length, second_length};
    struct iovec parts[] = {{&header, sizeof header},
                            {(void *)first, first_length},
                            {(void *)second, second_length}};
    if (syscall(SYS_writev, out, parts, 3) < 0) abort();
}

/* The kind of a file by its name. */
static const char *kind(const char *path) {
    const char *name = strrchr(path, '/');
    name = name == NULL ? path : name + 1;
    const char *end = strrchr(name, '.');
    struct stat found;
    if (strcmp(name, "SYNCED") == 0) return "marker";
    if (strcmp(name, "CURRENT") == 0) return "current";
    if (strcmp(name, "LOCK") == 0) return "lock";
    if (strcmp(name, "IDENTITY") == 0) return "identity";
    if (strncmp(name, "MANIFEST-", 9) == 0) return "list";
    if (strncmp(name, "OPTIONS-", 8) == 0) return "options";
    if (end != NULL && strcmp(end, ".log") == 0) return "log";
    if (end != NULL && strcmp(end, ".sst") == 0) return "table";
    if (end != NULL && strcmp(end, ".dbtmp") == 0) return "temporary";
    if (syscall(SYS_newfstatat, AT_FDCWD, path, &found, 0) == 0 && S_ISDIR(found.st_mode))
        return "folder";
    return "other";
}

static void die(void) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

/* Whether the fault is due here, and of which kind; empty if not. Counts. */
static const char *due(enum operation operation, const char *path) {
    if (countdown <= 0 && out < 0) return "";
    char name[64];
    snprintf(name, sizeof name, "%s %s", kind(path), NAMES[operation]);
    record(POINT, 0, 0, 0, name, strlen(name), NULL, 0);
    if (countdown <= 0) return "";
    int same = strcmp(name, point) == 0;
    if (strncmp(point, "any ", 4) == 0) same = strcmp(point + 4, NAMES[operation]) == 0;
    if (!same || --countdown > 0) return "";
    return action;
}

static struct file *file_of(int descriptor) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS || files[descriptor] == NULL) return NULL;
    struct stat found;
    struct file *file = files[descriptor];
    if (syscall(SYS_fstat, descriptor, &found) == 0 && found.st_dev == file->device &&
        found.st_ino == file->inode)
        return file;
    free(file);
    files[descriptor] = NULL;
    return NULL;
}

static int opened(const char *path, int flags, mode_t mode) {
    if (!is_modelled(path)) return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct stat found;
    int was = syscall(SYS_newfstatat, AT_FDCWD, path, &found, 0) == 0;
    int creates = !was && (flags & O_CREAT);
    int folder = was && S_ISDIR(found.st_mode);
    const char *fault = creates ? due(OPEN, path) : "";
    if (strcmp(fault, "kill-before") == 0) die();
    if (strcmp(fault, "fail") == 0) {
        pthread_mutex_unlock(&lock);
        errno = EIO;
        return -1;
    }
    int descriptor = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    int error = errno;
    if (descriptor >= DESCRIPTORS) abort();
    if (descriptor >= 0) {
        free(files[descriptor]);
        files[descriptor] = NULL;
        if (folder || (flags & O_ACCMODE) != O_RDONLY) {
            struct file *file = calloc(1, sizeof *file);
            if (file == NULL || syscall(SYS_fstat, descriptor, &found) != 0) abort();
            file->handle = ++handles;
            file->device = found.st_dev;
            file->inode = found.st_ino;
            snprintf(file->path, sizeof file->path, "%s", path);
            files[descriptor] = file;
            uint8_t how = (creates ? 1 : 0) | ((flags & O_TRUNC) ? 2 : 0);
            record(OPEN, how, file->handle, 0, path, strlen(path), NULL, 0);
        }
    }
    if (strcmp(fault, "kill-after") == 0) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return descriptor;
}

#define WITH_MODE(flags)                                                                           \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }

int open(const char *path, int flags, ...) { WITH_MODE(flags) return opened(path, flags, mode); }
int open64(const char *path, int flags, ...) { WITH_MODE(flags) return opened(path, flags, mode); }

int openat(int folder, const char *path, int flags, ...) {
    WITH_MODE(flags)
    if (path[0] == '/') return opened(path, flags, mode);
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    WITH_MODE(flags)
    if (path[0] == '/') return opened(path, flags, mode);
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

static ssize_t real_write(int descriptor, const void *bytes, size_t length, off64_t offset) {
    if (offset < 0) return syscall(SYS_write, descriptor, bytes, length);
    return syscall(SYS_pwrite64, descriptor, bytes, length, offset);
}

/* `offset` -1 is the descriptor's own place. */
static ssize_t written(int descriptor, const void *bytes, size_t length, off64_t offset) {
    if (root == NULL) return real_write(descriptor, bytes, length, offset);
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    if (file == NULL) {
        if (descriptor == 1) record(ACKNOWLEDGE, 0, 0, 0, bytes, length, NULL, 0);
        pthread_mutex_unlock(&lock);
        return real_write(descriptor, bytes, length, offset);
    }
    off64_t place = offset;
    if (place < 0) {
        int append = (int)syscall(SYS_fcntl, descriptor, F_GETFL) & O_APPEND;
        place = syscall(SYS_lseek, descriptor, 0, append ? SEEK_END : SEEK_CUR);
    }
    const char *fault = due(WRITE, file->path);
    if (strcmp(fault, "full") == 0) full = 1;
    if (strcmp(fault, "kill-before") == 0) die();
    int within = strcmp(fault, "kill-within") == 0;
    int fails = strcmp(fault, "fail") == 0;
    size_t part = within || full ? length / 2 : length;
    ssize_t result = -1;
    int error = fails ? EIO : ENOSPC;
    if (!fails && (part > 0 || length == 0)) {
        result = real_write(descriptor, bytes, part, offset);
        error = errno;
    }
    if (result >= 0) record(WRITE, 0, file->handle, place, bytes, result, NULL, 0);
    if (within || strcmp(fault, "kill-after") == 0) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    return written(descriptor, bytes, length, -1);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    return written(descriptor, bytes, length, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    return written(descriptor, bytes, length, offset);
}

static void not_modelled(int descriptor, const char *what) {
    if (root == NULL) return;
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    pthread_mutex_unlock(&lock);
    if (file == NULL) return;
    fprintf(stderr, "interpose: %s on %s is not modelled\n", what, file->path);
    abort();
}

ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (root != NULL && descriptor == 1) {
        ssize_t sum = 0;
        for (int i = 0; i < count; i++) {
            ssize_t one = write(descriptor, parts[i].iov_base, parts[i].iov_len);
            if (one < 0) return sum > 0 ? sum : -1;
            sum += one;
            if ((size_t)one < parts[i].iov_len) break;
        }
        return sum;
    }
    not_modelled(descriptor, "writev");
    return syscall(SYS_writev, descriptor, parts, count);
}

void *mmap(void *address, size_t length, int protection, int flags, int descriptor, off_t offset) {
    if (descriptor >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED))
        not_modelled(descriptor, "mmap");
    return (void *)syscall(SYS_mmap, address, length, protection, flags, descriptor, offset);
}

static int synced(int descriptor, long call) {
    if (root == NULL) return (int)syscall(call, descriptor);
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    const char *fault = file == NULL ? "" : due(SYNC, file->path);
    if (strcmp(fault, "kill-before") == 0 || strcmp(fault, "kill-within") == 0) die();
    int result = -1, error = EIO;
    if (strcmp(fault, "fail") != 0) {
        result = (int)syscall(call, descriptor);
        error = errno;
    }
    if (result == 0 && file != NULL) record(SYNC, 0, file->handle, 0, NULL, 0, NULL, 0);
    if (strcmp(fault, "kill-after") == 0) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

static int truncated(int descriptor, off64_t length) {
    if (root == NULL) return (int)syscall(SYS_ftruncate, descriptor, length);
    pthread_mutex_lock(&lock);
    struct file *file = file_of(descriptor);
    const char *fault = file == NULL ? "" : due(TRUNCATE, file->path);
    if (strcmp(fault, "kill-before") == 0 || strcmp(fault, "kill-within") == 0) die();
    int result = (int)syscall(SYS_ftruncate, descriptor, length);
    int error = errno;
    if (result == 0 && file != NULL) record(TRUNCATE, 0, file->handle, length, NULL, 0, NULL, 0);
    if (strcmp(fault, "kill-after") == 0) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int descriptor, off_t length) { return truncated(descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { return truncated(descriptor, length); }

/* An operation on names. */
static int named(enum operation operation, const char *path, const char *other, int flags,
                 mode_t mode) {
    pthread_mutex_lock(&lock);
    const char *fault = due(operation, operation == RENAME ? other : path);
    if (strcmp(fault, "kill-before") == 0 || strcmp(fault, "kill-within") == 0) die();
    int result = -1, error = EIO;
    if (strcmp(fault, "fail") != 0) {
        switch (operation) {
            case RENAME: result = (int)syscall(SYS_renameat, AT_FDCWD, path, AT_FDCWD, other); break;
            case UNLINK: result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags); break;
            default: result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode); break;
        }
        error = errno;
    }
    if (result == 0)
        record(operation, 0, 0, 0, path, strlen(path), other, other == NULL ? 0 : strlen(other));
    if (strcmp(fault, "kill-after") == 0) die();
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int rename(const char *from, const char *to) {
    if (is_modelled(from) && is_modelled(to)) return named(RENAME, from, to, 0, 0);
    return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
}
int unlink(const char *path) {
    if (is_modelled(path)) return named(UNLINK, path, NULL, 0, 0);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
int rmdir(const char *path) {
    if (is_modelled(path)) return named(UNLINK, path, NULL, AT_REMOVEDIR, 0);
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
}
int mkdir(const char *path, mode_t mode) {
    if (is_modelled(path)) return named(MKDIR, path, NULL, 0, mode);
    return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
/* The same for operations on names. */
static void not_modelled_by_name(const char *path, const char *what) {
    if (!is_modelled(path)) return;
    fprintf(stderr, "interpose: %s of %s is not modelled\n", what, path);
    abort();
}

int truncate(const char *path, off_t length) {
    not_modelled_by_name(path, "truncate");
    return (int)syscall(SYS_truncate, path, length);
}
int truncate64(const char *path, off64_t length) {
    not_modelled_by_name(path, "truncate");
    return (int)syscall(SYS_truncate, path, length);
}
int link(const char *from, const char *to) {
    not_modelled_by_name(to, "link");
    return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int creat(const char *path, mode_t mode) {
    return open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
