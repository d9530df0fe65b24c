#include "chat/messages_private.h"
#include "format/json.h"

// The canonical form is what a Messages backend understands already; only the name, the limit and
// the stream are the target's.
bool messages_write(const struct messages_request *request, const struct messages_target *target,
                    struct buf *out) {
    json_t *body = json_copy(request->root);
    json_set(body, "model", json_text(target->model ? target->model : request->model));
    json_set(body, "max_tokens", json_integer(messages_max_tokens(request, target)));
    json_set(body, "stream", json_boolean(target->stream));
    bool ok = json_write(out, body);
    json_decref(body);
    return ok;
}
