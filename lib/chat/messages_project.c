#define _GNU_SOURCE
#include "base/mem.h"
#include "base/str.h"
#include "chat/messages_private.h"
#include "format/json.h"

#include <string.h>

// Claude Code (2.1.197) tells of the project it runs in amid words that are the same in every
// project, and behind the first byte that differs an engine's cache is of no use. So the words
// change places, not their meaning:
//
//   system         what all projects share: the rules of the memory folder and the platform too,
//                  which stood behind CLAUDE.md (with --exclude-dynamic-system-prompt-sections)
//   first message  in one reminder, what is most often the same first: the date, CLAUDE.md,
//                  folders, git
//
// The reminder, as it comes:
//
//   INTRO  [# gitStatus ...]  [# claudeMd ...]  # currentDate ...  [# Environment ...]
//   [# Memory ...]  NOTE  </system-reminder>
//
// What CLAUDE.md says stands in the middle and may look like anything, so the last "# currentDate"
// counts: only what stands behind it, which Claude Code itself wrote, may go to the system text.
#define REMINDER "<system-reminder>\n"
#define REMINDER_END "\n</system-reminder>"
#define INTRO REMINDER "As you answer the user's questions, you can use the following context:"
#define NOTE "\n\n      IMPORTANT: this context may or may not be relevant"
#define GIT "\n# gitStatus\n"
#define GIT_WORDS "This is the git status at the start of the conversation."
#define GIT_SYSTEM "\n\ngitStatus: "
#define GIT_EARLY "\n# gitStatus (at the end of this context)\n"
#define CLAUDE_MD "\n# claudeMd\n"
#define CLAUDE_MD_FILE "\n\nContents of "
#define DATE "\n# currentDate\n"
#define ENVIRONMENT "\n# Environment\nYou have been invoked in the following environment:"
#define ENV_TAG "\n<env>\n"
#define ENV_END "\n</env>"
#define MEMORY "\n# Memory\n\nYou have a persistent file-based memory at `"
#define MEMORY_END "`. "
#define MEMORY_ELSEWHERE                                                                           \
    "\n# Memory\n\nYou have a persistent file-based memory at the path that the first message "    \
    "names under \"# Memory\". "

struct words {
    struct buf common;       // goes to the system text
    struct buf date, other;  // goes to the first message, in this order: the day, and what
    struct buf folders, git; // git's words mean; CLAUDE.md; where it is; what git says
};

static void words_init(struct words *words) {
    *words = (struct words){0};
    struct buf *all[] = {&words->common, &words->date, &words->other, &words->folders, &words->git};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_init(all[i], MESSAGES_BODY_MAX);
}

static void words_fini(struct words *words) {
    struct buf *all[] = {&words->common, &words->date, &words->other, &words->folders, &words->git};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_fini(all[i]);
}

static const char *find(struct span in, const char *what) {
    return in.length ? memmem(in.data, in.length, what, strlen(what)) : NULL;
}

static const char *find_last(struct span in, const char *what) {
    const char *found = NULL;
    for (const char *at; (at = find(in, what));) {
        found = at;
        in.length -= (size_t)(at + 1 - in.data);
        in.data = at + 1;
    }
    return found;
}

static bool begins(struct span text, const char *with) {
    return text.length >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static void skip(struct span *text, size_t length) {
    text->data += length;
    text->length -= length;
}

// What stands in front of `at`, which moves `text` there.
static struct span take_until(struct span *text, const char *at) {
    struct span taken = {text->data, at ? (size_t)(at - text->data) : text->length};
    skip(text, taken.length);
    return taken;
}

static void add(struct buf *out, struct span text) { buf_add(out, text.data, text.length); }

// --- Lines on where it runs

static bool is_of_project(struct span line) {
    static const char *const heads[] = {
        "Primary working directory:", "Working directory:",     "Is a git repository:",
        "Is directory a git repo:",   "This is a git worktree", "Additional working directories:",
    };
    if (begins(line, " - "))
        skip(&line, 3);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (begins(line, heads[i]))
            return true;
    return begins(line, "  - "); // a folder of the list
}

// Lines of `text`, each with the newline before it.
static void sort_lines(struct span text, struct buf *common, struct buf *project) {
    while (text.length > 0) {
        struct span rest = text;
        skip(&rest, 1);
        struct span line = {text.data, 1 + take_until(&rest, find(rest, "\n")).length};
        text = rest;
        bool own = is_of_project((struct span){line.data + 1, line.length - 1});
        add(own ? project : common, line);
    }
}

// "\n# Environment\n...": the head goes where lines go.
static void sort_environment(struct span section, struct buf *common, struct buf *project) {
    struct buf shared, own;
    struct span head = {section.data, strlen(ENVIRONMENT)};
    buf_init(&shared, MESSAGES_BODY_MAX);
    buf_init(&own, MESSAGES_BODY_MAX);
    skip(&section, head.length);
    take_until(&section, find(section, "\n")); // a space
    sort_lines(section, &shared, &own);
    struct buf *from[] = {&shared, &own}, *to[] = {common, project};
    for (size_t i = 0; i < 2; i++) {
        if (from[i]->length > 0) {
            add(to[i], head);
            buf_add(to[i], buf_bytes(from[i]), from[i]->length);
        }
        buf_fini(from[i]);
    }
}

// The rules of the memory folder, without its path. False: they do not look as they did.
static bool sort_memory(struct span section, struct buf *common, struct buf *project) {
    skip(&section, strlen(MEMORY));
    const char *end = find(section, MEMORY_END), *line = find(section, "\n");
    if (!end || (line && line < end))
        return false;
    struct span path = take_until(&section, end);
    if (find(path, "`"))
        return false;
    skip(&section, strlen(MEMORY_END));
    buf_adds(common, MEMORY_ELSEWHERE);
    add(common, section);
    buf_printf(project, "\n# Memory\nThe path of the memory is `%.*s`.", (int)path.length,
               path.data);
    return true;
}

// --- The reminder in the first message

static void sort_section(struct words *words, struct span section) {
    if (begins(section, DATE))
        add(&words->date, section);
    else if (begins(section, ENVIRONMENT))
        sort_environment(section, &words->common, &words->folders);
    else if (!begins(section, MEMORY) || !sort_memory(section, &words->common, &words->folders))
        add(&words->other, section);
}

// What its first paragraph says of the rest is the same in every project.
static void sort_git(struct words *words, struct span section) {
    skip(&section, strlen(GIT));
    const char *end = find(section, "\n\n");
    if (end) {
        buf_adds(&words->date, GIT_EARLY);
        add(&words->date, take_until(&section, end));
        skip(&section, 2);
    }
    buf_adds(&words->git, GIT);
    add(&words->git, section);
}

static void sort_context(struct words *words, struct span body, const char *date) {
    struct span git = {0};
    if (begins(body, GIT GIT_WORDS)) {
        const char *end = find((struct span){body.data, (size_t)(date - body.data)}, CLAUDE_MD);
        git = take_until(&body, end ? end : date);
    }
    add(&words->other, take_until(&body, date));
    while (body.length > 0) {
        struct span rest = body;
        skip(&rest, 1);
        take_until(&rest, find(rest, "\n# "));
        sort_section(words, (struct span){body.data, body.length - rest.length});
        body = rest;
    }
    if (git.length > 0)
        sort_git(words, git);
}

// Where in the reminder the words begin that another project would not find there, and those that
// this project would not find the next time. `begin`: of words->date.
static void find_openings(struct buf *out, const struct words *words, size_t begin,
                          struct messages_opening *opening) {
    const char *text = buf_text(out) + begin + words->date.length;
    const char *first = str_starts(text, CLAUDE_MD) ? strstr(text, CLAUDE_MD_FILE) : NULL;
    opening[MESSAGES_OPENING_ANY].bytes = (size_t)((first ? first : text) - buf_text(out));
    opening[MESSAGES_OPENING_PROJECT].bytes =
        begin + words->date.length + words->other.length + words->folders.length;
}

// The reminder anew, NULL when `text` is none; mem_free. What all projects share is left in
// words->common.
static char *place_context(const char *text, struct words *words,
                           struct messages_opening *opening) {
    if (!str_starts(text, INTRO "\n"))
        return NULL;
    struct span body = span_of(text);
    skip(&body, strlen(INTRO));
    const char *note = find_last(body, NOTE), *date = find_last(body, DATE);
    const char *end = note ? strstr(note, REMINDER_END) : NULL;
    if (!end || !date || date > note)
        return NULL;
    body.length = (size_t)(note - body.data);
    sort_context(words, body, date);
    struct buf out;
    buf_init(&out, MESSAGES_BODY_MAX);
    buf_adds(&out, INTRO "\n");
    note += strspn(note, " \n");
    buf_add(&out, note, (size_t)(end - note));
    size_t begin = out.length;
    struct buf *parts[] = {&words->date, &words->other, &words->folders, &words->git};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        buf_add(&out, buf_bytes(parts[i]), parts[i]->length);
    buf_adds(&out, end);
    find_openings(&out, words, begin, opening);
    return buf_take(&out, NULL);
}

// --- The system text

// The first of the places in `text` where something of the project may stand; NULL: none is left.
static const char *next_place(struct span text) {
    static const char *const places[] = {MEMORY, ENVIRONMENT, ENV_TAG};
    const char *first = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        const char *at = find(text, places[i]);
        if (at && (!first || at < first))
            first = at;
    }
    return first;
}

static void sort_place(struct span *rest, struct buf *out, struct words *words) {
    if (begins(*rest, ENV_TAG)) {
        add(out, take_until(rest, rest->data + strlen(ENV_TAG) - 1));
        sort_lines(take_until(rest, find(*rest, ENV_END)), out, &words->folders);
    } else if (begins(*rest, ENVIRONMENT)) {
        sort_environment(take_until(rest, find(*rest, "\n\n")), out, &words->folders);
    } else {
        struct span behind = {rest->data + 1, rest->length - 1};
        struct span section = take_until(rest, find(behind, "\n# "));
        if (!sort_memory(section, out, &words->folders))
            add(out, section);
    }
}

// NULL: nothing in it is of the project. mem_free.
static char *place_system(const char *text, struct words *words) {
    struct span rest = span_of(text);
    const char *git = find_last(rest, GIT_SYSTEM GIT_WORDS), *place;
    if (git) {
        buf_printf(&words->git, GIT "%s", git + strlen(GIT_SYSTEM));
        rest.length = (size_t)(git - rest.data);
    }
    struct buf out;
    buf_init(&out, MESSAGES_BODY_MAX);
    while ((place = next_place(rest))) {
        add(&out, take_until(&rest, place));
        sort_place(&rest, &out, words);
    }
    add(&out, rest);
    bool same = words->folders.length + words->git.length == 0;
    char *placed = same ? NULL : buf_take(&out, NULL);
    buf_fini(&out);
    return placed;
}

// --- The request

static bool is_reminder(const json_t *block) {
    return str_starts(json_get_text(block, "text", ""), REMINDER);
}

// A reminder of its own, behind those that are there.
static void tell_project(json_t *content, struct words *words) {
    size_t at = 0;
    const char *folders = buf_text(&words->folders), *git = buf_text(&words->git);
    bool headed = str_starts(*folders ? folders : git, "\n# ");
    char *text = mem_printf(REMINDER "%s%s%s" REMINDER_END, headed ? "" : "# Environment\n",
                            *folders ? folders + 1 : folders, *folders ? git : git + 1);
    while (is_reminder(json_array_get(content, at)))
        at++;
    json_array_insert_new(content, at, json_build("{s:s, s:s}", "type", "text", "text", text));
    mem_free(text);
}

static void place_in_system(struct messages_request *request, json_t *content) {
    struct words words;
    words_init(&words);
    char *system = place_system(json_get_text(request->root, "system", ""), &words);
    if (system) {
        json_set(request->root, "system", json_text(system));
        tell_project(content, &words);
    }
    mem_free(system);
    words_fini(&words);
}

static void add_to_system(struct messages_request *request, struct buf *common) {
    const char *system = json_get_text(request->root, "system", "");
    char *text = mem_printf("%s%s%s", system, *system ? "\n\n" : "", buf_text(common) + 1);
    json_set(request->root, "system", json_text(text));
    mem_free(text);
}

static void place_in_first(struct messages_request *request, json_t *content) {
    json_t *block;
    size_t i;
    struct words words;
    words_init(&words);
    json_array_foreach(content, i, block) {
        char *text = place_context(json_get_text(block, "text", ""), &words, request->opening);
        if (!text && is_reminder(block))
            continue;
        if (!text)
            break;
        for (size_t k = 0; k < MESSAGES_OPENINGS; k++)
            request->opening[k].blocks = i;
        json_set(block, "text", json_text(text));
        mem_free(text);
        if (words.common.length > 0)
            add_to_system(request, &words.common);
        break;
    }
    words_fini(&words);
}

void project_place(struct messages_request *request) {
    const json_t *first = json_array_get(json_object_get(request->root, "messages"), 0);
    json_t *content = json_object_get(first, "content");
    place_in_system(request, content);
    place_in_first(request, content);
}
