// A request of Anthropic's Messages API in one canonical form, whoever sent it: what a local model
// cannot take is gone or said in words, and the same conversation always comes to the same bytes.
//
//   system      one string, without the billing line that Claude Code changes with every prompt
//   messages    user and assistant by turns, a user first; each content an array of text, image,
//               thinking, tool_use and tool_result blocks, without cache_control. A role "system"
//               message is folded into the user turn it stands in, as <system-reminder>: where it
//               stands, but the first ones of the first turn in front of the user's words, since
//               behind the prompt they would keep two projects from sharing a prefix. Tool results
//               come first in a turn, one for each call of the turn before and in the order of the
//               calls. Blocks of other kinds are text that says what they were.
//   tools       {name, description, input_schema} only; server tools are taken out
//
// Source: docs.anthropic.com "Messages"; what Claude Code sends is measured in tests/clients.
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tool_choice { TOOL_CHOICE_AUTO, TOOL_CHOICE_ANY, TOOL_CHOICE_NAMED, TOOL_CHOICE_NONE };

// The beginning of a conversation that others have, too: so many blocks of its first message, and
// then so many bytes of the next one. Both 0 = not known.
struct messages_opening {
    size_t blocks, bytes;
};

enum {
    MESSAGES_OPENING_ANY,     // Claude Code says it in every project
    MESSAGES_OPENING_PROJECT, // in every conversation of this project, but for git's changes
    MESSAGES_OPENINGS,
};

struct messages_request {
    json_t *root;          // owned; the canonical form. Texts below are borrowed from it
    json_t *kept;          // owned; or from this
    const char *model;     // as the client named it; "" = none
    bool stream;           // false when absent
    int64_t max_tokens;    // as asked, >= 1
    json_t *output_schema; // borrowed: of output_config.format or output_format; NULL = free text
    enum tool_choice tool_choice;
    const char *tool_name;   // of TOOL_CHOICE_NAMED
    bool one_tool;           // disable_parallel_tool_use
    bool thinking;           // the client can show thinking: enabled or adaptive
    int64_t thinking_tokens; // its budget; 0 = none stated
    const char *server_tool; // the first that was taken out, such as "web_search"; NULL = none
    bool only_server_tools;  // and nothing else was offered: nobody here can answer this
    bool images;             // some block is an image
    struct messages_opening opening[MESSAGES_OPENINGS]; // each longer than the one before
    unsigned folded, dropped; // system messages moved; blocks that became words
    bool may_shorten;         // the caller's word, false as read: messages_shorten may be used
    json_t *whole;            // owned; the canonical form before results were shortened, or NULL
    unsigned shortened;       // how far messages_shorten has gone
};

// Reads and canonicalises. False: ERR_INVALID with the text of a 400, in the API's own words where
// it has some ("messages.3.content.0.text: Field required"). Depth, counts and sizes are bounded.
// On false nothing is owned.
//
// What the API refuses and is taken all the same, since a conversation must not end on it: unknown
// members, an absent model (the server's default answers), empty turns beside others, results
// without calls and calls without results, names and ids that a model made up, names of tools up to
// 256, a thinking budget below 1024 or, with tools, beyond max_tokens.
bool messages_parse(struct messages_request *request, const char *bytes, size_t length,
                    struct err *err);
// For count_tokens, which has no max_tokens and never streams.
bool messages_parse_count(struct messages_request *request, const char *bytes, size_t length,
                          struct err *err);
void messages_fini(struct messages_request *request);

// How much of a conversation the template of a model takes. Most of those that llama.cpp build
// 11434 ships take the usual form; the others refuse it with a 400 or 500 that says "Jinja
// Exception", and would at every turn from then on. Whoever meets that asks again in the next form,
// and keeps to it for this model: another form is another prefix.
enum messages_form {
    MESSAGES_FORM_USUAL,
    MESSAGES_FORM_SERIAL, // one call a message with its result behind it, ids of nine characters,
                          // no user right behind results, no effort (Llama 3, Mistral)
    MESSAGES_FORM_PLAIN,  // no system role and no tools: all in words, user and assistant by turns
};

// How one backend wants to be asked.
struct messages_target {
    const char *model;      // the name it knows; NULL = the client's
    int64_t context_tokens; // its window; 0 = unknown. Claude Code asks for 32,000 tokens of answer
    int64_t prompt_tokens;  // counted beforehand; 0 = unknown. With the window it clamps max_tokens
    int64_t max_output_tokens; // clamps max_tokens too; 0 = no other limit
    bool llama;                // llama-server: its own members may be used (chat_template_kwargs,
                               // reasoning budget, top_k), and past thinking is given back
    bool stream;               // ask for a stream, whatever the client wants
    bool blind;                // the model takes no images: they become words
    const struct messages_opening *opening; // only that is sent, for the engine to read: nothing
                                            // is to be answered (completions of llama-server);
                                            // NULL = all of it
    enum messages_form form;
};

// The canonical form as a body of POST /v1/messages, or of POST /v1/chat/completions (and of
// /v1/chat/completions/input_tokens, which counts it). Equal conversations give equal bytes. False
// when `out` is too small.
bool messages_write(const struct messages_request *request, const struct messages_target *target,
                    struct buf *out);
bool messages_write_completions(const struct messages_request *request,
                                const struct messages_target *target, struct buf *out);

// For a conversation of Claude Code that is too long, and that it could not make fit by summing up:
// cuts the middle out of long results of tools, and says so in its place; of results before the
// last turn more. The same conversation is always cut in the same way. `prompt_tokens`: what it was
// counted to, 0 = unknown. True: it is shorter now, perhaps by enough; when not, once more. False,
// and nothing has changed: it may not be shortened, cannot be by enough, or is better summed up.
bool messages_shorten(struct messages_request *request, int64_t prompt_tokens,
                      int64_t window_tokens);

// Tokens of the prompt where no tokenizer can be asked: an estimate from its characters that is
// rather too high (the table of what it is worth is in messages_estimate.c), and a number that no
// usual text and tokenizer stay below. Images count as one flat number each.
int64_t messages_estimate_tokens(const struct messages_request *request);
int64_t messages_least_tokens(const struct messages_request *request);
