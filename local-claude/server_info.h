// What an OpenAI-compatible server tells of itself: which kind it is, its models, their windows.
#pragma once

#include "ask.h"
#include "http/where.h"

#include <stdbool.h>
#include <stdint.h>

enum server_kind { SERVER_OTHER, SERVER_ANCALAGON, SERVER_LLAMA };

struct server_info {
    enum server_kind kind;
    const char *address; // that answered; points into the `where`
    char *key;           // that it takes; NULL = none is needed
    json_t *models;      // its /v1/models; owned
};

// Asks /v1/models at each address of `where` at once; the first in order that answers well, and not
// much later than another, counts.
// `key` or NULL is what the user gave; an ancalagon of this machine that wants a key gets the one
// from its own key file. err says what is wrong and what to do.
bool server_info_read(struct server_info *info, const struct where *where, const char *key,
                      int64_t timeout_ms, struct err *err);
void server_info_fini(struct server_info *info);

size_t server_info_count(const struct server_info *info);
const char *server_info_name(const struct server_info *info, size_t index);
// The index of the model that `wanted` means; of NULL: the one that the server marks as its default
// (an ancalagon: the loaded one), else the first that does not look like an embedding model. -1:
// err names what there is.
int server_info_choose(const struct server_info *info, const char *wanted, struct err *err);
// What is known of a model: tokens of one conversation (0 = it does not tell), and, where it is
// told, that it takes no images or no tools. May ask the server once more.
struct server_model {
    int64_t context_tokens;
    bool blind, toolless;
};
struct server_model server_info_model(const struct server_info *info, const struct where *where,
                                      size_t index, int64_t timeout_ms);
// Has an ancalagon load the model, which decides a window that its preset leaves open, and asks
// again what it tells. Shows progress. False: the model cannot be had, and err has the server's
// word.
bool server_info_load(struct server_info *info, const struct where *where, size_t index,
                      struct err *err);
