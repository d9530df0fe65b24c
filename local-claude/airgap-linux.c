#define _GNU_SOURCE
#include "airgap.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "event/sandbox.h"
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/landlock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// Landlock as of Linux 6.7 (4) and 6.12 (6); older headers do not have it.
enum { NET_ABI = 4, SCOPE_ABI = 6 };
enum { NET_BIND_TCP = 1, NET_CONNECT_TCP = 2, SCOPE_ABSTRACT_SOCKETS = 1 };

enum { MAX_MAP = 64 * 1024 };

struct airgap {
    struct sandbox *sandbox;
    int user, network; // namespaces; -1 = the filter must do
    int listener;      // inside; -1 = given away
    unsigned port;
    int landlock; // -1 = none
    char *socket;
};

// --- The namespaces, made by a helper that ends when they are there

enum { HELD = 3 }; // what it hands out: user and network namespace, listener

struct made {
    int error; // errno of what failed
    int step;  // of these
};

static const char *const steps[] = {
    "user namespaces are refused",           "the user cannot be taken into a namespace",
    "the loopback inside cannot be started", "nothing can listen inside",
    "namespaces cannot be opened (/proc)",
};
enum step { STEP_UNSHARE, STEP_MAP, STEP_LOOPBACK, STEP_LISTEN, STEP_OPEN };

static void report(int channel, enum step step, int error) {
    struct made made = {error, (int)step};
    ssize_t ignored = write(channel, &made, sizeof made);
    (void)ignored;
    _exit(1);
}

static bool raise_loopback(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

static bool hand_over(int channel, const int *fds) {
    struct made made = {0};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(HELD * sizeof(int))];
    } control = {0};
    struct iovec word = {&made, sizeof made};
    struct msghdr message = {.msg_iov = &word,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(HELD * sizeof(int));
    memcpy(CMSG_DATA(head), fds, HELD * sizeof(int));
    return sendmsg(channel, &message, 0) == sizeof made;
}

// The parent maps the ids between the two words that we exchange.
static void help(int channel) {
    char go;
    int fds[HELD] = {-1, -1, -1};
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        report(channel, STEP_UNSHARE, errno);
    if (write(channel, &(struct made){0}, sizeof(struct made)) != sizeof(struct made) ||
        read(channel, &go, 1) != 1)
        _exit(1);
    if (!raise_loopback())
        report(channel, STEP_LOOPBACK, errno);
    fds[2] = http_listen_tcp("127.0.0.1", 0, NULL);
    if (fds[2] < 0)
        report(channel, STEP_LISTEN, errno);
    fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    fds[1] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fds[0] < 0 || fds[1] < 0 || !hand_over(channel, fds))
        report(channel, STEP_OPEN, errno);
    _exit(0);
}

static bool write_to(pid_t pid, const char *name, const char *text) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return ok;
}

// Every id that there is stays what it is. Only root may do that; see map_self.
static bool map_all(pid_t pid, const char *name) {
    char own[64];
    unsigned inside, outside, count;
    int used = 0;
    struct buf out;
    buf_init(&out, MAX_MAP);
    snprintf(own, sizeof own, "/proc/self/%s", name);
    FILE *file = fopen(own, "re");
    while (file && fscanf(file, "%u %u %u%n", &inside, &outside, &count, &used) == 3)
        buf_printf(&out, "%u %u %u\n", inside, inside, count);
    if (file)
        fclose(file);
    bool ok = out.length > 0 && write_to(pid, name, buf_text(&out));
    buf_fini(&out);
    return ok;
}

// The user stays who they are, and everybody else becomes nobody (to look at: groups still count).
static bool map_self(pid_t pid) {
    char user[64], group[64];
    snprintf(user, sizeof user, "%u %u 1\n", geteuid(), geteuid());
    snprintf(group, sizeof group, "%u %u 1\n", getegid(), getegid());
    return write_to(pid, "setgroups", "deny") && write_to(pid, "gid_map", group) &&
           write_to(pid, "uid_map", user);
}

static bool map_ids(pid_t pid) {
    if (geteuid() == 0 && map_all(pid, "gid_map") && map_all(pid, "uid_map"))
        return true;
    return map_self(pid);
}

static bool receive(int channel, struct made *made, int *fds) {
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(HELD * sizeof(int))];
    } control;
    struct iovec word = {made, sizeof *made};
    struct msghdr message = {.msg_iov = &word,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != sizeof *made)
        return false;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(HELD * sizeof(int)))
        memcpy(fds, CMSG_DATA(head), HELD * sizeof(int));
    return true;
}

// Both words of the helper, and ours between them.
static bool talk(int channel, pid_t pid, struct made *made, int *fds) {
    if (!receive(channel, made, fds) || made->error)
        return false;
    if (!map_ids(pid)) {
        *made = (struct made){errno, STEP_MAP};
        return false;
    }
    return write(channel, "", 1) == 1 && receive(channel, made, fds) && !made->error && fds[2] >= 0;
}

static bool make_namespaces(struct airgap *airgap, struct err *err) {
    int pair[2], fds[HELD] = {-1, -1, -1};
    struct made made = {ECHILD, STEP_UNSHARE};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, "cannot talk to a helper");
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        help(pair[1]);
    }
    close(pair[1]);
    bool ok = pid > 0 && talk(pair[0], pid, &made, fds);
    close(pair[0]);
    if (pid > 0)
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
    if (!ok) {
        errno = made.error ? made.error : ECHILD;
        return err_errno(err, "%s", steps[made.step]);
    }
    airgap->user = fds[0];
    airgap->network = fds[1];
    airgap->listener = fds[2];
    return true;
}

static bool read_port(struct airgap *airgap, struct err *err) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    if (getsockname(airgap->listener, (struct sockaddr *)&address, &length) != 0)
        return err_errno(err, "cannot tell the port inside");
    airgap->port = ntohs(address.sin_port);
    return true;
}

// --- The filter alone

// TCP is refused by the filter already. What counts is that a process in a domain of Landlock may
// neither trace nor open the memory of one outside, and, from ABI 6 on, reach no abstract socket.
static bool make_landlock(struct airgap *airgap, struct err *err) {
    struct {
        uint64_t files, network, scoped;
    } rules = {.network = NET_BIND_TCP | NET_CONNECT_TCP};
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < NET_ABI)
        return err_set(err, ERR_DENIED, "and this kernel has no Landlock of Linux 6.7");
    rules.scoped = abi >= SCOPE_ABI ? SCOPE_ABSTRACT_SOCKETS : 0;
    size_t size = abi >= SCOPE_ABI ? sizeof rules : 2 * sizeof(uint64_t);
    airgap->landlock = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
    return airgap->landlock >= 0 || err_errno(err, "and Landlock refuses");
}

static bool make_socket(struct airgap *airgap, struct err *err) {
    char *folder = path_runtime();
    bool ok = path_make_private(folder, err);
    if (ok) {
        airgap->socket = mem_printf("%s/claude-%d.sock", folder, (int)getpid());
        ok = strlen(airgap->socket) < sizeof((struct sockaddr_un *)NULL)->sun_path ||
             err_set(err, ERR_LIMIT, "--airgap: %s is too long for a socket; set XDG_RUNTIME_DIR",
                     airgap->socket);
    }
    if (ok) {
        airgap->listener = http_listen_unix(airgap->socket, err);
        ok = airgap->listener >= 0;
    }
    mem_free(folder);
    return ok;
}

static bool make_filter(struct airgap *airgap, const struct err *why, struct err *err) {
    struct err also = {0};
    if (make_landlock(airgap, &also))
        return make_socket(airgap, err);
    return err_set(
        err, ERR_DENIED,
        "--airgap cannot be enforced here: %s, %s. An administrator can allow it: "
        "local-claude(1), AIRGAP, has the AppArmor profile for Ubuntu; elsewhere: sysctl "
        "user.max_user_namespaces=1000",
        why->text, also.text);
}

// --- Life

// Whoever gives us a connection as our terminal gives it to the agent.
static bool is_network(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t length = sizeof address;
    return getsockname(fd, (struct sockaddr *)&address, &length) == 0 &&
           address.ss_family != AF_UNIX;
}

static bool check_inherited(struct err *err) {
    static const char *const names[] = {"input", "output", "error"};
    for (int fd = 0; fd <= 2; fd++)
        if (is_network(fd))
            return err_set(err, ERR_DENIED,
                           "--airgap: standard %s is a network connection, which the agent would "
                           "hold; put a pipe between: cat | local-claude ... | cat",
                           names[fd]);
    return true;
}

struct airgap *airgap_create(struct err *err) {
    struct err why = {0};
    if (!check_inherited(err))
        return NULL;
    struct airgap *airgap = mem_alloc(sizeof *airgap);
    *airgap = (struct airgap){.user = -1, .network = -1, .listener = -1, .landlock = -1};
    bool own = make_namespaces(airgap, &why);
    if ((own ? read_port(airgap, err) : make_filter(airgap, &why, err)) &&
        (airgap->sandbox = sandbox_agent(own, err)))
        return airgap;
    airgap_destroy(airgap);
    return NULL;
}

static void drop(int fd) {
    if (fd >= 0)
        close(fd);
}

void airgap_destroy(struct airgap *airgap) {
    if (!airgap)
        return;
    drop(airgap->user);
    drop(airgap->network);
    drop(airgap->listener);
    drop(airgap->landlock);
    if (airgap->socket)
        unlink(airgap->socket);
    mem_free(airgap->socket);
    sandbox_destroy(airgap->sandbox);
    mem_free(airgap);
}

int airgap_listen(struct airgap *airgap, unsigned *port, struct err *err) {
    int fd = airgap->listener;
    if (fd < 0)
        err_set(err, ERR_INVALID, "the socket inside is taken");
    airgap->listener = -1;
    *port = airgap->port;
    return fd;
}

const char *airgap_socket(const struct airgap *airgap) { return airgap->socket; }

const char *airgap_means(const struct airgap *airgap) {
    return airgap->network >= 0
               ? "a network namespace of its own; unix sockets are refused"
               : "a system call filter and Landlock, for user namespaces are refused here; programs "
                 "that listen on unix sockets (docker, D-Bus, ssh-agent) stay within reach";
}

// --- Going in

static void close_on_exec(void) {
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = 3; fd < 65536; fd++) // before Linux 5.11
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

// What root keeps in its user namespace: what concerns files and its own processes. The rest would
// be raw packets and the like, if only on its own loopback.
static bool drop_capabilities(void) {
    static const unsigned kept[] = {CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
                                    CAP_FSETID,  CAP_KILL,         CAP_SETGID,          CAP_SETUID,
                                    CAP_SETPCAP, CAP_SETFCAP,      CAP_SYS_CHROOT};
    for (unsigned capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
        bool keep = false;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
            keep |= kept[i] == capability;
        if (!keep && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0)
            return false;
    }
    return true;
}

// Message queues and shared memory are this run's own, too.
static bool enter_namespaces(const struct airgap *airgap) {
    return setns(airgap->user, CLONE_NEWUSER) == 0 && setns(airgap->network, CLONE_NEWNET) == 0 &&
           unshare(CLONE_NEWIPC) == 0 && drop_capabilities();
}

static bool enter_landlock(const struct airgap *airgap) {
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           syscall(SYS_landlock_restrict_self, airgap->landlock, 0) == 0;
}

bool airgap_enter(const struct airgap *airgap) {
    close_on_exec();
    return (airgap->network >= 0 ? enter_namespaces(airgap) : enter_landlock(airgap)) &&
           sandbox_apply(airgap->sandbox);
}
