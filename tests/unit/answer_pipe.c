// A backend's bytes on stdin, what its client reads on stdout: answer_pipe completions|messages
// stream|whole. Exit 1 when the answer failed.
#include "chat/answer.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv) {
    if (argc != 3)
        return 2;
    struct answer_options options = {
        .source = strcmp(argv[1], "messages") == 0 ? ANSWER_MESSAGES : ANSWER_COMPLETIONS,
        .stream = strcmp(argv[2], "stream") == 0,
        .thinking = true,
        .model = "local",
        .id = "msg_7f",
        .prompt_tokens = 50,
        .max_bytes = 1u << 20,
    };
    struct answer *answer = answer_create(&options);
    struct err err = {ERR_NONE, ""};
    struct buf out;
    char bytes[100];
    size_t length;
    bool ok = true;
    buf_init(&out, 1u << 26);
    answer_open(answer, &out);
    while (ok && (length = fread(bytes, 1, sizeof bytes, stdin)) > 0)
        ok = answer_feed(answer, bytes, length, &out, &err);
    ok = ok && answer_end(answer, &out, &err);
    if (!ok)
        answer_fail(answer, answer_status(answer), err.text, &out);
    fwrite(buf_bytes(&out), 1, out.length, stdout);
    buf_fini(&out);
    answer_destroy(answer);
    return ok ? 0 : 1;
}
