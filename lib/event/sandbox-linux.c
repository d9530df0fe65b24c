#define _GNU_SOURCE
#include "event/sandbox.h"

#include "base/mem.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_SPEC_ALLOW
#define SECCOMP_FILTER_FLAG_SPEC_ALLOW (1UL << 2)
#endif

struct sandbox {
    struct sock_fprog program;
};

// What a sandbox leaves: families of socket() in ascending order, ended by 0, and the rest.
struct allowed {
    unsigned families[4];
    bool tracing;  // of other processes
    bool terminal; // writing into the input of a terminal
};

static const struct allowed engine = {{AF_UNIX, AF_NETLINK}, .terminal = true};
static const struct allowed agent_shared = {{AF_UNIX, AF_NETLINK}};
static const struct allowed agent_alone = {{AF_INET, AF_INET6, AF_NETLINK}, .tracing = true};
static const unsigned pairs[] = {AF_UNIX, 0};

// libseccomp takes one comparison per argument and rule, so "none of these" is spelt as the list of
// families below the last allowed one, and everything above it. The comparison is on 64 bits, of
// which the kernel uses 32: a family with high bits set falls in the last rule.
static int refuse_families(scmp_filter_ctx filter, int call, const unsigned *allowed) {
    int rc = 0;
    unsigned family = 0;
    for (; *allowed && rc == 0; allowed++, family++)
        for (; family < *allowed && rc == 0; family++)
            rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 1,
                                  SCMP_A0(SCMP_CMP_EQ, family));
    if (rc == 0)
        rc =
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 1, SCMP_A0(SCMP_CMP_GE, family));
    return rc;
}

struct refusal {
    const char *name;
    int error;
};

static int refuse_calls(scmp_filter_ctx filter, const struct refusal *refused, size_t count) {
    int rc = 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        int call = seccomp_syscall_resolve_name(refused[i].name);
        if (call == __NR_SCMP_ERROR)
            return -ENOSYS; // a libseccomp too old to name it could not keep the promise
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint16_t)refused[i].error), call, 0);
    }
    return rc;
}

// What is put into a terminal's input is read by the shell that the terminal returns to.
static int refuse_terminal_input(scmp_filter_ctx filter) {
    static const unsigned requests[] = {TIOCSTI, TIOCLINUX};
    int rc = 0;
    for (size_t i = 0; i < 2 && rc == 0; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
                              SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, requests[i]));
    return rc;
}

static int add_rules(scmp_filter_ctx filter, const struct allowed *allowed) {
    static const struct refusal rings[] = {
        {"io_uring_setup", ENOSYS}, {"io_uring_enter", ENOSYS}, {"io_uring_register", ENOSYS}};
    static const struct refusal tracing[] = {
        {"pidfd_getfd", EPERM},
        {"ptrace", EPERM},
        {"process_vm_readv", EPERM},
        {"process_vm_writev", EPERM},
    };
    // Keyrings are the user's, not the process's.
    static const struct refusal keys[] = {
        {"add_key", EPERM}, {"request_key", EPERM}, {"keyctl", EPERM}};
    // Calls through another table: int $0x80, x32.
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(EPERM));
    if (rc == 0)
        rc = refuse_families(filter, SCMP_SYS(socket), allowed->families);
    if (rc == 0)
        rc = refuse_families(filter, SCMP_SYS(socketpair), pairs);
    if (rc == 0)
        rc = refuse_calls(filter, rings, sizeof rings / sizeof *rings);
    if (rc == 0)
        rc = refuse_calls(filter, keys, sizeof keys / sizeof *keys);
    if (rc == 0 && !allowed->tracing)
        rc = refuse_calls(filter, tracing, sizeof tracing / sizeof *tracing);
    if (rc == 0 && !allowed->terminal)
        rc = refuse_terminal_input(filter);
    return rc;
}

// libseccomp writes programs to descriptors only.
static bool export_program(scmp_filter_ctx filter, struct sock_fprog *program, struct err *err) {
    bool ok = false;
    int fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return err_errno(err, "cannot hold the sandbox filter in memory");
    struct stat info;
    int rc = seccomp_export_bpf(filter, fd);
    if (rc < 0) {
        errno = -rc;
        err_errno(err, "cannot build the sandbox filter");
        goto out;
    }
    if (fstat(fd, &info) < 0 || info.st_size <= 0 ||
        info.st_size > BPF_MAXINSNS * (off_t)sizeof(struct sock_filter)) {
        err_set(err, ERR_SYSTEM, "the sandbox filter has a strange size");
        goto out;
    }
    size_t size = (size_t)info.st_size;
    program->filter = mem_alloc(size);
    program->len = (unsigned short)(size / sizeof(struct sock_filter));
    if (pread(fd, program->filter, size, 0) != (ssize_t)size) {
        err_errno(err, "cannot read back the sandbox filter");
        mem_free(program->filter);
        goto out;
    }
    ok = true;
out:
    close(fd);
    return ok;
}

static struct sandbox *build(const struct allowed *allowed, struct err *err) {
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) {
        err_set(err, ERR_SYSTEM, "cannot start a sandbox filter (libseccomp)");
        return NULL;
    }
    struct sandbox *sandbox = NULL;
    struct sock_fprog program = {0};
    int rc = add_rules(filter, allowed);
    if (rc < 0) {
        errno = -rc;
        err_errno(err, "cannot write the sandbox's rules");
    } else if (export_program(filter, &program, err)) {
        sandbox = mem_alloc(sizeof(*sandbox));
        sandbox->program = program;
    }
    seccomp_release(filter);
    return sandbox;
}

struct sandbox *sandbox_no_network(struct err *err) {
    return build(&engine, err);
}

struct sandbox *sandbox_agent(bool own_network, struct err *err) {
    return build(own_network ? &agent_alone : &agent_shared, err);
}

void sandbox_destroy(struct sandbox *sandbox) {
    if (!sandbox)
        return;
    mem_free(sandbox->program.filter);
    mem_free(sandbox);
}

char **sandbox_command(const struct sandbox *sandbox, const char *path, char *const *argv) {
    return NULL;
}

bool sandbox_apply(const struct sandbox *sandbox) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return false;
    // Before Linux 5.16 a filter also switched speculation barriers on, which costs an engine
    // several per cent of its speed; the flag declines them. Old kernels do not know it.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW,
                &sandbox->program) == 0)
        return true;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0UL, &sandbox->program) == 0;
}
