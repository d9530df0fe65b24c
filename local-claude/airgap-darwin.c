#include "airgap.h"

#include "base/mem.h"
#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

// libsystem_sandbox; the headers of the SDK know only its named profiles. sandbox-exec calls it so.
int sandbox_init(const char *profile, uint64_t flags, char **error);
void sandbox_free_error(char *error);

// Names are resolved by a daemon over Mach and unix sockets, so those are refused by name too.
static const char profile_text[] =
    "(version 1)(allow default)"
    "(deny network*)"
    "(allow network-outbound (remote ip \"localhost:%u\"))"
    "(deny mach-lookup (global-name \"com.apple.dnssd.service\")"
    " (global-name \"com.apple.networkd\") (global-name \"com.apple.nsurlsessiond\")"
    " (global-name \"com.apple.coreservices.launchservicesd\")"
    " (global-name \"com.apple.coreservices.appleevents\"))"
    "(deny appleevent-send)";

struct airgap {
    int listener;
    unsigned port;
    char profile[sizeof profile_text + 16];
};

struct airgap *airgap_create(struct err *err) {
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    struct airgap *airgap = mem_alloc(sizeof *airgap);
    airgap->listener = http_listen_tcp("127.0.0.1", 0, err);
    if (airgap->listener >= 0 &&
        getsockname(airgap->listener, (struct sockaddr *)&address, &length) == 0) {
        airgap->port = ntohs(address.sin_port);
        snprintf(airgap->profile, sizeof airgap->profile, profile_text, airgap->port);
        return airgap;
    }
    if (airgap->listener >= 0)
        err_errno(err, "cannot tell our own port");
    airgap_destroy(airgap);
    return NULL;
}

void airgap_destroy(struct airgap *airgap) {
    if (airgap && airgap->listener >= 0)
        close(airgap->listener);
    mem_free(airgap);
}

int airgap_listen(struct airgap *airgap, unsigned *port, struct err *err) {
    int fd = airgap->listener;
    if (fd < 0)
        err_set(err, ERR_INVALID, "the relay's socket is taken");
    airgap->listener = -1;
    *port = airgap->port;
    return fd;
}

const char *airgap_socket(const struct airgap *airgap) { return NULL; }

const char *airgap_means(const struct airgap *airgap) {
    return "a sandbox profile: no network but the relay's port";
}

bool airgap_enter(const struct airgap *airgap) {
    char *error = NULL;
    for (int fd = 3; fd < 4096; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (sandbox_init(airgap->profile, 0, &error) == 0)
        return true;
    if (error)
        sandbox_free_error(error);
    errno = EPERM;
    return false;
}
