// What the files of the Messages reader share. The way of a request:
//
//   messages_parse   options, limits, the canonical root       messages.c
//   tools_read       tools                                     messages_tools.c
//   system_read      system text                               messages_system.c
//   turns_read       turns, reminders, order of results        messages_turns.c
//   block_read       one content block                         messages_blocks.c
//   words_of         a block of a kind that no model is given  messages_words.c
//   project_place    what differs between projects goes last   messages_project.c
//
//   messages_shorten results, older words, where all is too long  messages_shorten.c
//
// and back out: messages_native.c (Messages), messages_completions.c and messages_chat.c
// (OpenAI's).
#pragma once

#include "base/buf.h"
#include "chat/messages.h"

enum {
    MESSAGES_BODY_MAX = 256 << 20,
    MESSAGES_DEPTH_MAX = 128,
    MESSAGES_COUNT_MAX = 100000, // Anthropic's own limit
    MESSAGES_BLOCKS_MAX = 400000,
    MESSAGES_TOOLS_MAX = 4096,
};

#define MESSAGES_NOTHING "(no content)" // where a turn must say something and has nothing to say

// Where a block stands, and what was met on the way.
struct reading {
    struct messages_request *request;
    struct err *err;
    size_t message, block; // of the place in an error text
    size_t blocks;         // read so far
    bool assistant;        // the block's author
};

// "messages.3.content.0<member>: <why>"; false. `member` is "" or begins with a point.
bool reading_fail(const struct reading *reading, const char *member, const char *why);

// Appends what one content block comes to: nothing, or some canonical blocks. A user's tool_result
// goes to `results`.
bool block_read(struct reading *reading, const json_t *block, json_t *content, json_t *results);
// Text and images of `content`, which is a string or an array of blocks, as canonical blocks.
// What is neither becomes words; malformed ones too.
void content_read(struct reading *reading, const json_t *content, json_t *out);
// Appends the words for a block that has no canonical form, and the images and texts in it. Never
// fails: what is not understood is named.
void words_of(struct reading *reading, const json_t *block, json_t *out);

void content_add(json_t *content, const char *text); // a text block; none when it is empty
void content_take(json_t *content, char *text);      // the same, and frees the text
// All text blocks of an array, joined; mem_free.
char *content_join(const json_t *content, const char *separator);

// "system", and text of role "system": without billing lines and notes of tokens left; mem_free.
char *system_clean(const char *text);
bool is_token_note(const char *text); // it is one and nothing else

// A copy of a text that is not part of the canonical form; it lives as long as the request.
const char *messages_keep(struct messages_request *request, const char *text);

bool system_read(struct messages_request *request, const json_t *system, struct err *err);
bool turns_read(struct messages_request *request, const json_t *messages, struct err *err);
bool tools_read(struct messages_request *request, const json_t *tools, struct err *err);
// Once all is read: in the system text and the first message.
void project_place(struct messages_request *request);

// "messages" of a chat completions body.
json_t *completions_messages(const struct messages_request *request,
                             const struct messages_target *target);
// Parts of messages_estimate_tokens: a JSON value in tokens; one byte of a text, which depends on
// what stands in front of it, in hundredths of one.
int64_t messages_estimate_json(const json_t *json);
int64_t messages_estimate_byte(const char *text, size_t index);
// max_tokens within the target's window.
int64_t messages_max_tokens(const struct messages_request *request,
                            const struct messages_target *target);
