// Each attempt is made twice in a forked child: bare, to know what this machine allows at all, and
// inside the sandbox. What works bare must be refused inside, or must still work.
#define _GNU_SOURCE
#include "event/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

// Each returns 0 when the attempt succeeds, else the error number.
static int result(long rc) { return rc < 0 ? errno : 0; }

static int try_inet(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static int try_inet_udp(void) { return result(socket(AF_INET, SOCK_DGRAM, 0)); }
static int try_inet6(void) { return result(socket(AF_INET6, SOCK_STREAM, 0)); }
static int try_packet(void) { return result(socket(AF_PACKET, SOCK_RAW, 0)); }
static int try_vsock(void) { return result(socket(AF_VSOCK, SOCK_STREAM, 0)); }

// The kernel looks at 32 bits of the family.
static int try_inet_high_bits(void) {
    return result(syscall(SYS_socket, (1UL << 32) | AF_INET, SOCK_STREAM, 0));
}

static int try_io_uring(void) {
    struct io_uring_params params;
    memset(&params, 0, sizeof(params));
    return result(syscall(SYS_io_uring_setup, 4, &params));
}

static int try_add_key(void) { // into the process's own keyring, which goes with it
    return result(syscall(SYS_add_key, "user", "test", "x", 1, -2));
}

static int try_process_vm(void) {
    char from = 'x';
    char to = 0;
    struct iovec local = {&to, 1};
    struct iovec remote = {&from, 1};
    return result(process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
}

static int try_ptrace(void) { return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }

static int try_pidfd_getfd(void) {
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    return pidfd < 0 ? 0 : result(syscall(SYS_pidfd_getfd, pidfd, 0, 0));
}

static int try_unix(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }

static int try_unix_pair(void) {
    int ends[2];
    return result(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static int try_netlink(void) {
    return result(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
}

// What GPU drivers live on.
static int try_mmap_ioctl(void) {
    void *area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED)
        return errno;
    int ends[2];
    int waiting = 0;
    if (pipe(ends) < 0)
        return errno;
    return result(ioctl(ends[0], FIONREAD, &waiting));
}

// The filter must outlive exec, or it protects nothing: a shell that opens a socket through bash's
// /dev/tcp fails differently (refused by policy, not by the peer), so look at the mode instead.
static int try_exec_keeps_filter(void) {
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/grep", "grep", "-q", "Seccomp:.*2", "/proc/self/status", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? ESRCH : 0;
}

#ifdef __x86_64__
// The 32-bit gate: socketcall(SYS_SOCKET, {AF_INET, SOCK_STREAM, 0}); pointers must be low.
static int try_int80(void) {
    unsigned *args =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    if (args == MAP_FAILED)
        return ENOMEM;
    args[0] = AF_INET;
    args[1] = SOCK_STREAM;
    args[2] = 0;
    long rc;
    __asm__ volatile("int $0x80"
                     : "=a"(rc)
                     : "a"(102L), "b"(1L), "c"(args)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)rc < 0 ? -(int)rc : 0;
}

static int try_int80_direct(void) // 359 is i386's own socket()
{
    long rc;
    __asm__ volatile("int $0x80"
                     : "=a"(rc)
                     : "a"(359L), "b"((long)AF_INET), "c"((long)SOCK_STREAM), "d"(0L)
                     : "memory", "r8", "r9", "r10", "r11");
    return (int)rc < 0 ? -(int)rc : 0;
}

static int try_x32(void) {
    return result(syscall(0x40000000 | SYS_socket, AF_INET, SOCK_STREAM, 0));
}
#endif

static int attempt_in_child(int (*attempt)(void), const struct sandbox *sandbox) {
    pid_t pid = fork();
    if (pid == 0) {
        if (sandbox && !sandbox_apply(sandbox))
            _exit(255);
        _exit(attempt());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status)); // refused, not killed: an engine must survive its curiosity
    assert_int_not_equal(WEXITSTATUS(status), 255);
    return WEXITSTATUS(status);
}

// A terminal of our own: TIOCSTI is for the one that we are in.
static int try_terminal_input(void) {
    int terminal = posix_openpt(O_RDWR);
    if (terminal < 0)
        return 0;
    return result(ioctl(terminal, TIOCSTI, "x")) == EPERM ? EPERM : 0;
}

static const struct attempt {
    const char *name;
    int (*attempt)(void);
    int engine, shared, alone; // error number in each sandbox
    bool must_work_bare;       // not so: depends on the kernel and on who we are
} attempts[] = {
    {"AF_INET", try_inet, EACCES, EACCES, 0, true},
    {"AF_INET datagrams", try_inet_udp, EACCES, EACCES, 0, true},
    {"AF_INET with high bits", try_inet_high_bits, EACCES, EACCES, EACCES, true},
    {"AF_INET6", try_inet6, EACCES, EACCES, 0, true},
    {"AF_PACKET", try_packet, EACCES, EACCES, EACCES, false},
    {"AF_VSOCK", try_vsock, EACCES, EACCES, EACCES, false},
    {"io_uring_setup", try_io_uring, ENOSYS, ENOSYS, ENOSYS, false},
    {"add_key", try_add_key, EPERM, EPERM, EPERM, false},
    {"process_vm_readv", try_process_vm, EPERM, EPERM, 0, true},
    {"ptrace", try_ptrace, EPERM, EPERM, 0, true},
    {"pidfd_getfd", try_pidfd_getfd, EPERM, EPERM, 0, true},
    {"exec", try_exec_keeps_filter, ESRCH, ESRCH, ESRCH, true},
#ifdef __x86_64__
    {"socketcall by int 0x80", try_int80, EPERM, EPERM, EPERM, false},
    {"socket by int 0x80", try_int80_direct, EPERM, EPERM, EPERM, false},
    {"socket by x32", try_x32, EPERM, EPERM, EPERM, false},
#endif
    {"AF_UNIX", try_unix, 0, 0, EACCES, true},
    {"socketpair", try_unix_pair, 0, 0, 0, true},
    {"AF_NETLINK", try_netlink, 0, 0, 0, true},
    {"mmap and ioctl", try_mmap_ioctl, 0, 0, 0, true},
    {"TIOCSTI", try_terminal_input, 0, EPERM, EPERM, false},
};

static void check(struct sandbox *sandbox, size_t expected) {
    assert_non_null(sandbox);
    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        const struct attempt *one = &attempts[i];
        int bare = attempt_in_child(one->attempt, NULL);
        int inside = attempt_in_child(one->attempt, sandbox);
        print_message("# %s: bare %s, inside %s\n", one->name, bare ? strerror(bare) : "works",
                      inside ? strerror(inside) : "works");
        if (one->must_work_bare)
            assert_int_equal(bare, 0);
        assert_int_equal(inside, *(const int *)((const char *)one + expected));
    }
    sandbox_destroy(sandbox);
}

static void test_engine(void **state) {
    check(sandbox_no_network(NULL), offsetof(struct attempt, engine));
}

static void test_agent(void **state) {
    check(sandbox_agent(false, NULL), offsetof(struct attempt, shared));
    check(sandbox_agent(true, NULL), offsetof(struct attempt, alone));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_engine), cmocka_unit_test(test_agent)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
