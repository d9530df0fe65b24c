// What a model's server says: its answer taken apart, its lines, its fields.
#include "base/mem.h"
#include "claims.h"
#include "model_answer.h"
#include "model_read.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct domains *domains;
    struct text_page page;
    struct claims claims;
    struct err err = {0};
    if (!domains)
        domains = domains_create();
    model_answer_lists((const char *)data, size, "m");
    char *text = model_answer_text((const char *)data, size, &err);
    if (!text)
        return 0;
    model_read_lines(text, (struct box){0, 0, 100, 100}, &page);
    json_t *tree = model_answer_json(text);
    if (claims_from_json(&claims, SOURCE_LLM, tree, domains) > 0) {
        struct plate plate = {.reason_count = 0};
        claims_merge(&plate, &claims, true, page.lines, page.count, domains);
    }
    json_decref(tree);
    text_page_fini(&page);
    mem_free(text);
    return 0;
}
