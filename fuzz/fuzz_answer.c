// Whatever a backend sends, however it is cut, the client reads a legal sequence of events, and the
// same one. First byte: source, thinking, and the cuts.
#include "base/log.h"
#include "chat/answer.h"

#include "../tests/unit/answer_check.h"

#include <assert.h>

enum { MAX_BYTES = 1024 }; // small, so that the bounds are met

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    log_set_level(LOG_LEVEL_ERROR); // a line for each garbled answer is none for a person
    return 0;
}

static struct answer *create(unsigned flags, bool stream) {
    struct answer_options options = {
        .source = flags & 1 ? ANSWER_MESSAGES : ANSWER_COMPLETIONS,
        .stream = stream,
        .thinking = flags & 2,
        .model = "m",
        .id = "msg_1",
        .prompt_tokens = 10,
        .max_bytes = MAX_BYTES,
    };
    return answer_create(&options);
}

static bool run(struct answer *answer, const char *bytes, size_t length, unsigned seed, bool pings,
                struct buf *out) {
    struct err err = {ERR_NONE, ""};
    bool ok = true;
    for (size_t done = 0; ok && done < length;) {
        size_t part = seed ? 1 + (seed = seed * 1103515245u + 12345u) / 65536u % 60u : length;
        if (part > length - done)
            part = length - done;
        ok = answer_feed(answer, bytes + done, part, out, &err);
        done += part;
        if (pings)
            answer_ping(answer, out);
    }
    ok = ok && answer_end(answer, out, &err);
    assert(ok == answer_complete(answer));
    assert(ok || (err.code != ERR_NONE && *err.text));
    if (!ok)
        answer_fail(answer, answer_status(answer), err.text, out);
    return ok;
}

static void stream(const char *bytes, size_t length, unsigned flags, unsigned seed, bool pings,
                   struct buf *out) {
    struct answer_check check;
    struct answer *answer = create(flags, true);
    bool ok = run(answer, bytes, length, seed, pings, out);
    check_stream(&check, buf_bytes(out), out->length);
    if (*check.fault)
        fprintf(stderr, "%s\n%s\n", check.fault, buf_text(out));
    assert(!*check.fault && check.complete == ok && check.failed != ok);
    check_free(&check);
    answer_destroy(answer);
}

static void whole(const char *bytes, size_t length, unsigned flags, unsigned seed) {
    struct answer *answer = create(flags, false);
    struct answer_check check;
    struct buf out;
    buf_init(&out, 1u << 24);
    if (run(answer, bytes, length, seed, false, &out)) {
        check_whole(&check, buf_bytes(&out), out.length);
        assert(!*check.fault);
        check_free(&check);
    } else {
        assert(out.length == 0);
    }
    answer_destroy(answer);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const unsigned char *bytes, size_t length) {
    if (length < 1)
        return 0;
    unsigned flags = bytes[0], seed = flags + 1;
    const char *text = (const char *)bytes + 1;
    struct buf first, pieces, pinged;
    buf_init(&first, 1u << 24);
    buf_init(&pieces, 1u << 24);
    buf_init(&pinged, 1u << 24);
    stream(text, length - 1, flags, 0, false, &first);
    stream(text, length - 1, flags, seed, false, &pieces);
    stream(text, length - 1, flags, seed, true, &pinged);
    assert(first.length == pieces.length);
    assert(memcmp(buf_bytes(&first), buf_bytes(&pieces), first.length) == 0);
    whole(text, length - 1, flags, seed);
    buf_fini(&first);
    buf_fini(&pieces);
    buf_fini(&pinged);
    return 0;
}
