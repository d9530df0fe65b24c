// A request of the Messages API: whatever is accepted comes to a canonical form that is accepted
// again and stays the same, and to bodies that are JSON; whatever is refused says why.
#include "chat/messages.h"
#include "format/json.h"

#include <assert.h>
#include <string.h>

#define BODY_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void check_completions(const struct messages_request *request, enum messages_form form) {
    struct messages_target target = {
        .llama = true, .form = form, .context_tokens = 4096, .prompt_tokens = 4000, .stream = true};
    struct buf out;
    struct err err;
    buf_init(&out, BODY_MAX);
    assert(messages_write_completions(request, &target, &out));
    json_t *body = json_parse(buf_bytes(&out), out.length, 512, 0, &err);
    assert(json_array_size(json_object_get(body, "messages")) > 0);
    assert(json_get_int(body, "max_tokens", 0) >= 1 && json_get_int(body, "max_tokens", 0) <= 96);
    json_decref(body);
    buf_fini(&out);
}

static void check_again(const struct messages_request *request) {
    struct messages_target target = {.stream = request->stream};
    struct messages_request again;
    struct buf first, second;
    struct err err = {0};
    buf_init(&first, BODY_MAX);
    buf_init(&second, BODY_MAX);
    assert(messages_write(request, &target, &first));
    // What was nested deepest may be one level deeper now.
    if (messages_parse(&again, buf_bytes(&first), first.length, &err)) {
        assert(messages_write(&again, &target, &second));
        assert(first.length == second.length &&
               memcmp(buf_bytes(&first), buf_bytes(&second), first.length) == 0);
        messages_fini(&again);
    } else {
        assert(strstr(err.text, "nested deeper"));
    }
    buf_fini(&first);
    buf_fini(&second);
}

// Into half of what it takes, until nothing more can be cut.
static void check_shorter(struct messages_request *request) {
    int64_t whole = messages_estimate_tokens(request), window = whole / 2;
    request->may_shorten = true;
    while (messages_shorten(request, 0, window)) {
        assert(messages_estimate_tokens(request) < whole);
        check_completions(request, MESSAGES_FORM_USUAL);
    }
    check_again(request);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t length) {
    struct messages_request request;
    struct err err = {0};
    if (!messages_parse(&request, (const char *)data, length, &err)) {
        assert(err.code == ERR_INVALID && err.text[0] && !request.root && !request.kept);
        return 0;
    }
    assert(messages_estimate_tokens(&request) > 0);
    assert(messages_least_tokens(&request) < messages_estimate_tokens(&request));
    for (unsigned form = 0; form <= MESSAGES_FORM_PLAIN; form++)
        check_completions(&request, (enum messages_form)form);
    check_again(&request);
    check_shorter(&request);
    messages_fini(&request);
    return 0;
}
