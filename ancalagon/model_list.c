#include "model_list.h"

#include "base/mem.h"
#include "base/path.h"
#include "config.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

// ---- reading ----

static void read_entry(struct model_entry *entry) {
    struct err err = {0};
    entry->model = model_open(entry->path, &err);
    if (entry->model) {
        entry->gguf = entry->model->gguf;
        entry->family = model_family(entry->model, &entry->foreign_type);
        draft_vocab_read(entry->gguf, &entry->vocab);
    } else { // a part of another model, perhaps
        struct err ignored = {0};
        entry->gguf = gguf_open(entry->path, &ignored);
        bool part = entry->gguf && (model_kind_of(entry->gguf) == MODEL_KIND_PROJECTOR ||
                                    model_kind_of(entry->gguf) == MODEL_KIND_ADAPTER);
        if (!part)
            entry->broken = err;
    }
    if (entry->gguf) {
        entry->kind = model_kind_of(entry->gguf);
        entry->bytes = gguf_file_bytes(entry->gguf);
    }
}

static bool same_flags(const struct draft_vocab *a, const struct draft_vocab *b) {
    return a->kind == b->kind && a->add_bos == b->add_bos && a->add_eos == b->add_eos &&
           a->bos == b->bos && a->eos == b->eos && a->tokens == b->tokens;
}

// Families share a vocabulary, so that few pairs of them are ever compared.
static void find_same_words(struct model_list *list, size_t index) {
    struct model_entry *entry = &list->entries[index];
    entry->same_words = index;
    if (!entry->model || entry->vocab.kind == DRAFT_VOCAB_NONE)
        return;
    for (size_t i = 0; i < index; i++) {
        const struct model_entry *other = &list->entries[i];
        if (other->model && other->same_words == i && same_flags(&entry->vocab, &other->vocab) &&
            draft_compatible(entry->gguf, other->gguf, NULL, 0)) {
            entry->same_words = i;
            return;
        }
    }
}

static void compare_words(struct model_list *list) {
    size_t n = list->count;
    list->go_together = mem_alloc((n * n + 1) * sizeof *list->go_together);
    for (size_t i = 0; i < n; i++) {
        const struct model_entry *a = &list->entries[i];
        if (!a->model || a->same_words != i || a->vocab.kind == DRAFT_VOCAB_NONE)
            continue;
        list->go_together[i * n + i] = true;
        for (size_t k = 0; k < i; k++) {
            const struct model_entry *b = &list->entries[k];
            if (b->model && b->same_words == k &&
                draft_vocab_matches(&a->vocab, &b->vocab, NULL, 0))
                list->go_together[i * n + k] = list->go_together[k * n + i] =
                    draft_compatible(a->gguf, b->gguf, NULL, 0);
        }
    }
}

// Adds the entries of one folder, unread. A file reached by two ways counts once.
static bool add_folder(struct model_list *list, const char *folder, struct err *err) {
    DIR *handle = opendir(folder);
    if (!handle)
        return err_errno(err, "%s", folder);
    closedir(handle);
    char *before = list->folders;
    list->folders = before ? mem_printf("%s, %s", before, folder) : mem_strdup(folder);
    mem_free(before);
    char **files = config_model_files(folder);
    for (char **file = files; *file; file++) {
        bool again = false;
        for (size_t i = 0; i < list->count && !again; i++)
            again = strcmp(list->entries[i].path, *file) == 0;
        if (again)
            continue;
        list->entries = mem_resize(list->entries, (list->count + 1) * sizeof *list->entries);
        struct model_entry *entry = &list->entries[list->count++];
        size_t length = strlen(folder);
        *entry = (struct model_entry){.path = mem_strdup(*file)};
        entry->file = entry->path + length + strspn(entry->path + length, "/");
    }
    config_free_files(files);
    return true;
}

struct model_list *model_list_read(const char *const *folders,
                                   void (*step)(void *arg, size_t done, size_t all), void *arg,
                                   struct err *err) {
    struct model_list *list = mem_alloc(sizeof *list);
    struct err first = {0};
    for (const char *const *folder = folders; *folder; folder++)
        add_folder(list, *folder, first.code == ERR_NONE ? &first : NULL);
    if (!list->folders) {
        if (err)
            *err = first;
        model_list_free(list);
        return NULL;
    }
    for (size_t i = 0; i < list->count; i++) {
        read_entry(&list->entries[i]);
        find_same_words(list, i);
        if (step)
            step(arg, i + 1, list->count);
    }
    compare_words(list);
    return list;
}

void model_list_free(struct model_list *list) {
    if (!list)
        return;
    for (size_t i = 0; i < list->count; i++) {
        struct model_entry *entry = &list->entries[i];
        if (entry->model)
            model_close(entry->model);
        else
            gguf_close(entry->gguf);
        mem_free(entry->path);
    }
    mem_free(list->entries);
    mem_free(list->go_together);
    mem_free(list->folders);
    mem_free(list);
}

// ---- fitting ----

static void plan_entry(struct model_entry *entry, const struct plan_machine *machine) {
    struct fit fit = {.model = entry->model, .machine = machine};
    plan_settings_init(&fit.settings);
    fit.settings.parallel = 1;
    fit.settings.unified = false;
    fit.ctx_free = fit.offload_free = true;
    entry->fits = fit_resolve(&fit, &entry->plan) && fit_plan(&fit, &entry->plan);
    entry->settings = fit.settings;
    entry->planned = true;
}

void model_list_plan(struct model_list *list, const struct plan_machine *machine,
                     void (*step)(void *arg, size_t done, size_t all), void *arg) {
    for (size_t i = 0; i < list->count; i++) {
        struct model_entry *entry = &list->entries[i];
        if (entry->model)
            plan_entry(entry, machine);
        if (step)
            step(arg, i + 1, list->count);
    }
}

// ---- what goes with what ----

static bool may_draft(const struct model_list *list, size_t target, size_t draft) {
    const struct model_entry *a = &list->entries[target], *b = &list->entries[draft];
    if (target == draft || !a->model || !b->model || a->kind != MODEL_KIND_TEXT ||
        b->kind != MODEL_KIND_TEXT || b->bytes >= a->bytes / 2)
        return false;
    return list->go_together[a->same_words * list->count + b->same_words];
}

size_t model_list_drafts(const struct model_list *list, size_t index, size_t *out, size_t max) {
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!may_draft(list, index, i))
            continue;
        size_t at = count < max ? count : max;
        for (; at > 0 && list->entries[i].bytes < list->entries[out[at - 1]].bytes; at--)
            if (at < max)
                out[at] = out[at - 1];
        if (at < max)
            out[at] = i;
        count++;
    }
    return count;
}

// Projectors that belong to one family only, whatever their width (tools/mtmd/clip-impl.h).
static bool is_of_family(struct span projector, const char *arch) {
    static const struct {
        const char *projector, *arch;
    } ONLY[] = {{"gemma3", "gemma3"},          {"gemma3nv", "gemma3n"},
                {"gemma4", "gemma4"},          {"llama4", "llama4"},
                {"qwen2vl_merger", "qwen2vl"}, {"qwen2.5vl_merger", "qwen2vl"},
                {"qwen3vl_merger", "qwen3"},   {"glm4v", "glm4"},
                {"cogvlm", "cogvlm"},          {"paddleocr", "paddleocr"},
                {"hunyuanvl", "hunyuan"},      {"kimivl", "deepseek2"}};
    for (size_t i = sizeof ONLY / sizeof *ONLY; i-- > 0;) { // the longer names come later
        size_t length = strlen(ONLY[i].projector);
        if (projector.length >= length && memcmp(projector.data, ONLY[i].projector, length) == 0)
            return strncmp(arch, ONLY[i].arch, strlen(ONLY[i].arch)) == 0 ||
                   (strcmp(ONLY[i].arch, "qwen3") == 0 && strncmp(arch, "qwen35", 6) == 0);
    }
    return true;
}

static bool serves(const struct model_entry *projector, const struct model_entry *model) {
    const struct gguf *gguf = projector->gguf;
    uint64_t width = 0;
    if (!model->model || model->kind != MODEL_KIND_TEXT)
        return false;
    if (!gguf_uint(gguf, "clip.vision.projection_dim", &width) &&
        !gguf_uint(gguf, "clip.audio.projection_dim", &width))
        return false;
    struct span kind = gguf_text(gguf, "clip.projector_type");
    if (kind.length == 0)
        kind = gguf_text(gguf, "clip.vision.projector_type");
    return width == model->model->embd && is_of_family(kind, model->model->arch);
}

size_t model_list_partners(const struct model_list *list, size_t index, size_t *out, size_t max) {
    const struct model_entry *self = &list->entries[index];
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct model_entry *other = &list->entries[i];
        bool fit = self->kind == MODEL_KIND_PROJECTOR && self->gguf     ? serves(self, other)
                   : other->kind == MODEL_KIND_PROJECTOR && other->gguf ? serves(other, self)
                                                                        : false;
        if (!fit)
            continue;
        if (count < max)
            out[count] = i;
        count++;
    }
    return count;
}
