/* Tries to reach the internet by every door a seccomp rule may have left open. */
#include "fake.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each returns 0 when a socket was had, else an errno. */
static int by_socket(int family, int type) {
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

/* IORING_OP_SOCKET (Linux 5.19): opcode 45, fd = domain, off = type, len = protocol. */
static int by_io_uring(void) {
    struct io_uring_params params = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 2, &params);
    if (ring < 0)
        return errno;
    size_t sq_len = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    size_t cq_len = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    size_t len = sq_len > cq_len ? sq_len : cq_len;
    int rc = EIO;
    char *rings = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    char *sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe), PROT_READ | PROT_WRITE,
                      MAP_SHARED, ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || sqes == MAP_FAILED || !(params.features & IORING_FEAT_SINGLE_MMAP))
        goto out;
    struct io_uring_sqe *sqe = (struct io_uring_sqe *)(void *)sqes;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = 45;
    sqe->fd = AF_INET;
    sqe->off = SOCK_STREAM;
    ((unsigned *)(void *)(rings + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(void *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) {
        rc = errno;
        goto out;
    }
    struct io_uring_cqe *cqe = (struct io_uring_cqe *)(void *)(rings + params.cq_off.cqes);
    rc = cqe->res < 0 ? -cqe->res : 0;
    if (cqe->res >= 0)
        close(cqe->res);
out:
    close(ring);
    return rc;
}

#if defined(__x86_64__)
/* The 32-bit gate: i386 socket is call 359, socketcall(SYS_SOCKET) is call 102. */
static long int80(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    return result;
}

static int by_32_bit(void) {
    int result = (int)int80(359, AF_INET, SOCK_STREAM, 0);
    return result < 0 ? -result : 0;
}

static int by_x32(void) {
    long fd = syscall(0x40000000 | SYS_socket, AF_INET, SOCK_STREAM, 0);
    return fd < 0 ? errno : 0;
}
#else
static int by_32_bit(void) { return ENOSYS; }
static int by_x32(void) { return ENOSYS; }
#endif

/* A filter may kill instead of refusing: then the answer is minus the signal. */
static int in_child(int (*attempt)(void)) {
    pid_t child = fork();
    if (child < 0)
        return errno;
    if (child == 0)
        _exit(attempt() & 0xff);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

void probe_sockets(struct text *out) {
    const struct {
        const char *name;
        int rc;
    } tries[] = {
        {"inet_stream", by_socket(AF_INET, SOCK_STREAM)},
        {"inet_dgram", by_socket(AF_INET, SOCK_DGRAM)},
        {"inet6_stream", by_socket(AF_INET6, SOCK_STREAM)},
        {"inet6_dgram", by_socket(AF_INET6, SOCK_DGRAM)},
        {"packet", by_socket(AF_PACKET, SOCK_DGRAM)},
        {"vsock", by_socket(AF_VSOCK, SOCK_STREAM)},
        {"io_uring", in_child(by_io_uring)},
        {"int80", in_child(by_32_bit)},
        {"x32", in_child(by_x32)},
        {"unix", by_socket(AF_UNIX, SOCK_STREAM)},
    };
    text_addf(out, "{");
    for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
        text_addf(out, "%s\"%s\":{\"opened\":%s,\"errno\":%d}", i ? "," : "", tries[i].name,
                  tries[i].rc == 0 ? "true" : "false", tries[i].rc);
    text_addf(out, "}");
}
