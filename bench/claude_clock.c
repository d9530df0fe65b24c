// Stands for `claude` in bench/local-claude.
//   claude_clock exec PROGRAM ARGS...   notes the time and becomes PROGRAM
//   claude_clock only PROGRAM ARGS...   only becomes it: what no wrapper can be quicker than
//   claude_clock ANYTHING               prints the nanoseconds since then: it was started
//   claude_clock --version, --help      as Claude Code, for local-claude asks once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define START "ANCALAGON_BENCH_START"

static long long now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int become(char **argv) {
    char text[32];
    snprintf(text, sizeof text, "%lld", now_ns());
    setenv(START, text, 1);
    execv(argv[0], argv);
    perror(argv[0]);
    return 127;
}

int main(int argc, char **argv) {
    long long at = now_ns();
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "exec") == 0 && argc > 2)
        return become(argv + 2);
    if (strcmp(word, "only") == 0 && argc > 2)
        return execv(argv[2], argv + 2);
    if (strcmp(word, "--version") == 0)
        return puts("2.1.197 (Claude Code)") < 0;
    if (strcmp(word, "--help") == 0)
        return puts("Options:\n  --bare\n  --exclude-dynamic-system-prompt-sections\n"
                    "  --settings <file-or-json>\n  --tools <tools...>\n") < 0;
    const char *start = getenv(START);
    if (!start)
        return 1;
    printf("%lld\n", at - strtoll(start, NULL, 10));
    return 0;
}
