// Load for bench/gateway: one thread, one epoll, so little work per request that the thing measured
// is the gateway. TARGET is 127.0.0.1:PORT or the path of a unix socket; each mode prints one line
// of JSON.
//
//   load rate   TARGET BODY CONNECTIONS SECONDS     keep-alive connections, each at once again
//   load paced  TARGET BODY PER_SECOND COUNT        one connection, a request now and then
//   load stream TARGET BODY STREAMS SECONDS PID     events/s, their latency, CPU time of PID
//   load idle   TARGET BODY STREAMS                 opens them, says so, leaves all at once on
//                                                   a line on stdin, says when
//
// Stream latency: the engine's tokens are its own monotonic clock (fake_llama's knob "stamp").
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_MAX = 16384, READ_BYTES = 65536, SAMPLES_MAX = 4000000, WARM_MS = 500, GAP_US = 1700 };

// Reads one HTTP response after another; framing only.
enum part { HEAD, BODY, CHUNK_SIZE, CHUNK_BYTES, CHUNK_END, TRAILER };

struct peer {
    int fd;
    enum part part;
    char head[HEAD_MAX];
    size_t head_length;
    uint64_t left; // bytes of the body or chunk
    bool started;  // the first content has come
    int matched;   // letters of `mark` seen; then digits
    uint64_t digits;
    uint64_t sent_ns;
};

static struct {
    uint64_t *at;
    size_t count;
} samples;

static struct {
    uint64_t events, begun, responses, errors;
    bool counting;
} seen;

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void sample(uint64_t ns) {
    if (samples.count < SAMPLES_MAX)
        samples.at[samples.count++] = ns;
}

static int by_size(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Of the sorted samples, in microseconds.
static double quantile(double q) {
    if (samples.count == 0)
        return -1;
    size_t at = (size_t)(q * (double)(samples.count - 1));
    return (double)samples.at[at] / 1e3;
}

// --- Sockets

static int dial(const char *target) {
    int fd;
    if (target[0] == '/') {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(target) >= sizeof address.sun_path) {
            errno = ENAMETOOLONG;
            die(target);
        }
        memcpy(address.sun_path, target, strlen(target));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            die(target);
    } else {
        const char *colon = strrchr(target, ':');
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        address.sin_port = htons((uint16_t)strtoul(colon ? colon + 1 : target, NULL, 10));
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            die(target);
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return fd;
}

static char *make_request(const char *body, size_t *length) {
    char *request = NULL;
    int n = asprintf(&request,
                     "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Type: application/json\r\nUser-Agent: bench\r\n"
                     "Content-Length: %zu\r\n\r\n%s",
                     strlen(body), body);
    if (n < 0)
        die("request");
    *length = (size_t)n;
    return request;
}

static void send_all(int fd, const char *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0)
            die("send");
        bytes += n;
        length -= (size_t)n;
    }
}

// --- Responses

static void read_head(struct peer *peer) {
    peer->head[peer->head_length] = '\0';
    if (strncmp(peer->head, "HTTP/1.1 200", 12) != 0) {
        if (seen.errors++ == 0)
            fprintf(stderr, "load: %.*s\n", (int)strcspn(peer->head, "\r"), peer->head);
    }
    const char *length = strcasestr(peer->head, "\r\ncontent-length:");
    if (strcasestr(peer->head, "\r\ntransfer-encoding: chunked")) {
        peer->part = CHUNK_SIZE;
        peer->left = 0;
    } else {
        peer->part = BODY;
        peer->left = length ? strtoull(length + 17, NULL, 10) : UINT64_MAX;
    }
    peer->head_length = 0;
}

// Finds the stamps in the events: "content":"123456789".
static void read_content(struct peer *peer, const char *bytes, size_t length) {
    static const char mark[] = "\"content\":\"";
    const int whole = (int)sizeof mark - 1;
    for (size_t i = 0; i < length; i++) {
        char c = bytes[i];
        if (peer->matched < whole) {
            peer->matched = c == mark[peer->matched] ? peer->matched + 1 : c == mark[0];
            peer->digits = 0;
        } else if (c >= '0' && c <= '9') {
            peer->digits = peer->digits * 10 + (uint64_t)(c - '0');
        } else {
            peer->matched = 0;
            if (peer->digits == 0)
                continue;
            seen.events++;
            seen.begun += !peer->started;
            peer->started = true;
            if (seen.counting)
                sample(now_ns() - peer->digits);
        }
    }
}

static void end_response(struct peer *peer) {
    peer->part = HEAD;
    seen.responses++;
}

// Returns how many bytes it took; at least one, or the response has ended.
static size_t read_line_part(struct peer *peer, const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);
    size_t n = newline ? (size_t)(newline - bytes) + 1 : length;
    if (peer->head_length + n >= HEAD_MAX)
        die("a head or chunk line too long");
    memcpy(peer->head + peer->head_length, bytes, n);
    peer->head_length += n;
    if (!newline)
        return n;
    bool empty = peer->head_length <= 2;
    peer->head[peer->head_length] = '\0';
    if (peer->part == CHUNK_SIZE) {
        peer->left = strtoull(peer->head, NULL, 16);
        peer->part = peer->left ? CHUNK_BYTES : TRAILER;
    } else if (peer->part == CHUNK_END) {
        peer->part = CHUNK_SIZE;
    } else if (peer->part == TRAILER && empty) {
        end_response(peer);
    }
    peer->head_length = 0;
    return n;
}

static size_t read_head_part(struct peer *peer, const char *bytes, size_t length) {
    size_t before = peer->head_length;
    size_t n = length < HEAD_MAX - 1 - before ? length : HEAD_MAX - 1 - before;
    memcpy(peer->head + before, bytes, n);
    const char *end = memmem(peer->head, before + n, "\r\n\r\n", 4);
    peer->head_length = before + n;
    if (!end) {
        if (n == 0)
            die("a head too long");
        return n;
    }
    peer->head_length = (size_t)(end - peer->head) + 4;
    n = peer->head_length - before;
    read_head(peer);
    return n;
}

static void take(struct peer *peer, const char *bytes, size_t length) {
    while (length > 0) {
        size_t n;
        if (peer->part == HEAD) {
            n = read_head_part(peer, bytes, length);
        } else if (peer->part == BODY || peer->part == CHUNK_BYTES) {
            n = length < peer->left ? length : (size_t)peer->left;
            read_content(peer, bytes, n);
            peer->left -= n;
            if (peer->left == 0 && peer->part == CHUNK_BYTES)
                peer->part = CHUNK_END;
            else if (peer->left == 0)
                end_response(peer);
        } else {
            n = read_line_part(peer, bytes, length);
        }
        bytes += n;
        length -= n;
    }
}

// False at the end of the connection.
static bool take_some(struct peer *peer) {
    static char bytes[READ_BYTES];
    ssize_t n = recv(peer->fd, bytes, sizeof bytes, 0);
    if (n > 0)
        take(peer, bytes, (size_t)n);
    return n > 0;
}

// --- Modes

struct crowd {
    struct peer *peers;
    size_t count;
    int epoll;
};

static struct crowd open_crowd(const char *target, size_t count) {
    struct crowd crowd = {calloc(count, sizeof(struct peer)), count, epoll_create1(EPOLL_CLOEXEC)};
    if (!crowd.peers)
        die("peers");
    for (size_t i = 0; i < count; i++) {
        crowd.peers[i].fd = dial(target);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &crowd.peers[i]};
        epoll_ctl(crowd.epoll, EPOLL_CTL_ADD, crowd.peers[i].fd, &event);
    }
    return crowd;
}

static void lose(struct crowd *crowd, struct peer *peer) {
    seen.errors++;
    epoll_ctl(crowd->epoll, EPOLL_CTL_DEL, peer->fd, NULL);
}

static void say_latency(void) {
    qsort(samples.at, samples.count, sizeof *samples.at, by_size);
    printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"errors\":%llu}\n", quantile(.5), quantile(.99),
           (unsigned long long)seen.errors);
}

static void rate(const char *target, const char *body, size_t connections, double seconds) {
    size_t length;
    char *request = make_request(body, &length);
    struct crowd crowd = open_crowd(target, connections);
    uint64_t start = now_ns() + WARM_MS * 1000000ull, end = start + (uint64_t)(seconds * 1e9);
    uint64_t before = 0;
    for (size_t i = 0; i < connections; i++) {
        crowd.peers[i].sent_ns = now_ns();
        send_all(crowd.peers[i].fd, request, length);
    }
    uint64_t now = now_ns();
    while (now < end) {
        struct epoll_event events[64];
        int n = epoll_wait(crowd.epoll, events, 64, 100);
        now = now_ns();
        if (!seen.counting && now >= start) {
            seen.counting = true;
            start = now;
            before = seen.responses;
        }
        for (int i = 0; i < n; i++) {
            struct peer *peer = events[i].data.ptr;
            uint64_t had = seen.responses;
            if (!take_some(peer)) {
                lose(&crowd, peer);
                continue;
            }
            if (seen.responses == had)
                continue;
            uint64_t then = now_ns();
            if (seen.counting)
                sample(then - peer->sent_ns);
            peer->sent_ns = then;
            send_all(peer->fd, request, length);
        }
    }
    double took = (double)(now - start) / 1e9;
    printf("{\"requests\":%llu,\"per_second\":%.1f", (unsigned long long)(seen.responses - before),
           (double)(seen.responses - before) / took);
    say_latency();
}

static void paced(const char *target, const char *body, double per_second, size_t count) {
    size_t length;
    char *request = make_request(body, &length);
    struct peer *peer = calloc(1, sizeof *peer);
    if (!peer)
        die("peer");
    peer->fd = dial(target);
    uint64_t gap = (uint64_t)(1e9 / per_second), next = now_ns();
    for (size_t i = 0; i < count + 5; i++) {
        next += gap;
        struct timespec until = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        uint64_t had = seen.responses, sent = now_ns();
        send_all(peer->fd, request, length);
        while (seen.responses == had)
            if (!take_some(peer))
                die("the connection ended");
        if (i >= 5) // the first ones open connections
            sample(now_ns() - sent);
    }
    printf("{\"requests\":%zu", count);
    say_latency();
}

static uint64_t cpu_ns(pid_t pid) {
    clockid_t clock;
    struct timespec t;
    if (pid <= 0 || clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

// Until every stream has had its first event. `gap_us` apart, so that they do not tick in step:
// the latency of a burst is mostly that of the events before one's own.
static void begin_streams(struct crowd *crowd, const char *body, long gap_us) {
    size_t length;
    char *request = make_request(body, &length);
    for (size_t i = 0; i < crowd->count; i++) {
        send_all(crowd->peers[i].fd, request, length);
        if (gap_us)
            nanosleep(&(struct timespec){.tv_nsec = gap_us * 1000}, NULL);
    }
    uint64_t deadline = now_ns() + 20ull * 1000000000u;
    while (seen.begun < crowd->count && now_ns() < deadline) {
        struct epoll_event events[64];
        int n = epoll_wait(crowd->epoll, events, 64, 100);
        for (int i = 0; i < n; i++)
            if (!take_some(events[i].data.ptr))
                lose(crowd, events[i].data.ptr);
    }
    if (seen.begun < crowd->count)
        seen.errors += crowd->count - seen.begun;
    free(request);
}

static void stream(const char *target, const char *body, size_t streams, double seconds,
                   pid_t pid) {
    struct crowd crowd = open_crowd(target, streams);
    begin_streams(&crowd, body, GAP_US);
    uint64_t start = now_ns() + WARM_MS * 1000000ull, end = start + (uint64_t)(seconds * 1e9);
    uint64_t before = 0, cpu = 0, now = now_ns();
    while (now < end) {
        struct epoll_event events[64];
        int n = epoll_wait(crowd.epoll, events, 64, 20);
        now = now_ns();
        if (!seen.counting && now >= start) {
            seen.counting = true;
            start = now;
            before = seen.events;
            cpu = cpu_ns(pid);
        }
        for (int i = 0; i < n; i++)
            if (!take_some(events[i].data.ptr))
                lose(&crowd, events[i].data.ptr);
    }
    cpu = cpu_ns(pid) - cpu;
    uint64_t events = seen.events - before;
    printf("{\"events\":%llu,\"per_second\":%.1f,\"cpu_us\":%.3f", (unsigned long long)events,
           (double)events * 1e9 / (double)(now - start),
           events ? (double)cpu / 1e3 / (double)events : -1.0);
    say_latency();
}

static void idle(const char *target, const char *body, size_t streams) {
    struct crowd crowd = open_crowd(target, streams);
    begin_streams(&crowd, body, 0);
    printf("{\"open\":%llu,\"errors\":%llu}\n", (unsigned long long)seen.begun,
           (unsigned long long)seen.errors);
    fflush(stdout);
    char line[16];
    if (!fgets(line, sizeof line, stdin))
        return;
    uint64_t start = now_ns();
    for (size_t i = 0; i < streams; i++)
        close(crowd.peers[i].fd);
    printf("{\"left_ns\":%llu}\n", (unsigned long long)start);
}

int main(int argc, char **argv) {
    if (argc < 5 || (argc < 6 && strcmp(argv[1], "idle") != 0) ||
        (argc < 7 && strcmp(argv[1], "stream") == 0)) {
        fprintf(stderr, "usage: load rate|paced|stream|idle TARGET BODY NUMBER [NUMBER [PID]]\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    samples.at = malloc(SAMPLES_MAX * sizeof *samples.at);
    if (!samples.at)
        die("samples");
    size_t number = strtoul(argv[4], NULL, 10);
    double other = argc > 5 ? strtod(argv[5], NULL) : 0;
    if (strcmp(argv[1], "rate") == 0)
        rate(argv[2], argv[3], number, other);
    else if (strcmp(argv[1], "paced") == 0)
        paced(argv[2], argv[3], (double)number, (size_t)other);
    else if (strcmp(argv[1], "stream") == 0)
        stream(argv[2], argv[3], number, other, (pid_t)strtol(argv[6], NULL, 10));
    else
        idle(argv[2], argv[3], number);
    return 0;
}
