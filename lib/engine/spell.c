#include "engine/spell.h"

#include "base/mem.h"
#include "base/str.h"
#include "engine/settings.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// One pass over a preset for one build.
struct speller {
    const struct dialect *dialect;
    const char *build; // how messages call it
    struct args *out;
    struct problems *problems;

    // Settings that only make sense together; spelt at the end.
    const char *load_mode;
    const char *mmap;
    const char *mlock;
    const char *direct_io;
    const char *draft_max;
    const char *draft_min;
    const char *draft_p_min;
    const char *spec_type;
};

void problems_fini(struct problems *problems) {
    for (size_t i = 0; i < problems->count; i++) {
        mem_free(problems->items[i].setting);
        mem_free(problems->items[i].text);
    }
    mem_free(problems->items);
    *problems = (struct problems){0};
}

void problems_add(struct problems *problems, bool is_error, const char *setting, const char *format,
                  ...) {
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    problems->items = mem_resize(problems->items, (problems->count + 1) * sizeof(*problems->items));
    problems->items[problems->count++] = (struct problem){
        .is_error = is_error, .setting = mem_strdup(setting), .text = mem_strdup(text)};
    problems->errors += is_error;
}

#define refuse(speller, name, ...) problems_add((speller)->problems, true, name, __VA_ARGS__)
#define warn(speller, name, ...) problems_add((speller)->problems, false, name, __VA_ARGS__)

// Names -------------------------------------------------------------------------------------------

// The flag of this build for one of our names, by the spellings of its rule, else by the name.
static const struct help_flag *find_flag(const struct dialect *dialect, const char *name) {
    const struct setting_rule *rule = setting_rule_find(name);
    for (size_t i = 0; rule && i < SETTING_FLAGS_MAX && rule->flags[i]; i++) {
        const struct help_flag *flag = dialect_flag(dialect, rule->flags[i]);
        if (flag)
            return flag;
    }
    char dashed[128];
    for (const char *dashes = "--"; *dashes; dashes++) {
        snprintf(dashed, sizeof(dashed), "%s%s", dashes, name);
        const struct help_flag *flag = dialect_flag(dialect, dashed);
        if (flag)
            return flag;
    }
    return NULL;
}

static bool has_long_name(const struct help_flag *flag, const char *name) {
    char dashed[128];
    snprintf(dashed, sizeof(dashed), "--%s", name);
    return args_has(&flag->names, dashed);
}

char *setting_canonical(const struct dialect *dialect, const char *name) {
    char *clean = mem_strdup(name + strspn(name, "-"));
    for (char *at = clean; *at; at++) {
        if (*at == '_')
            *at = '-';
    }
    const struct setting_rule *rule = setting_rule_find(clean);
    const struct help_flag *flag = rule || !dialect ? NULL : find_flag(dialect, clean);
    const char *full = rule ? rule->name : flag ? help_positive(flag) : NULL;
    if (flag && !full)
        full = help_negative(flag);
    // "no-x" in a row that has "x" too stays what it is.
    if (!full || (str_starts(clean, "no-") && !str_starts(full, "--no-")))
        return clean;
    // Short names of the negative end of a row: -nkvo, -nr, -nocb.
    bool negative = flag && clean[0] == 'n' && help_negative(flag) && !str_starts(full, "--n") &&
                    !has_long_name(flag, clean);
    char *canonical = mem_printf("%s%s", negative ? "no-" : "", full + strspn(full, "-"));
    mem_free(clean);
    return canonical;
}

static size_t distance(const char *a, const char *b) {
    size_t row[64];
    size_t width = strlen(b);
    if (width >= 64)
        return 64;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; *a; a++, i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t change = corner + (*a != b[j - 1]);
            corner = row[j];
            size_t best = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < best ? change : best;
        }
    }
    return row[width];
}

static void closer(const char *wanted, const char *candidate, const char **best, size_t *nearest) {
    candidate += strspn(candidate, "-");
    size_t away = distance(wanted, candidate);
    if (away < *nearest) {
        *nearest = away;
        *best = candidate;
    }
}

static const char *suggest(const struct dialect *dialect, const char *wanted) {
    const char *best = NULL;
    size_t length = strlen(wanted);
    size_t nearest = (length < 6 ? 2 : length / 3) + 1;
    for (size_t i = 0; i < dialect->help.count; i++) {
        const struct help_flag *flag = &dialect->help.flags[i];
        for (size_t j = 0; !flag->removed && j < flag->names.count; j++) {
            if (str_starts(flag->names.items[j], "--"))
                closer(wanted, flag->names.items[j], &best, &nearest);
        }
    }
    return best;
}

static void report_absent(struct speller *speller, const char *name) {
    bool comfort = setting_is_comfort(name);
    char flag_name[128];
    snprintf(flag_name, sizeof(flag_name), "--%s", name);
    const struct help_flag *removed = help_find(&speller->dialect->help, flag_name);
    if (comfort) {
        warn(speller, name, "this build (%s) has no --%s; left out", speller->build, name);
    } else if (removed && removed->removed) {
        refuse(speller, name, "this build (%s) has removed --%s: %.300s", speller->build, name,
               removed->text);
    } else if (setting_rule_find(name)) {
        refuse(speller, name, "this build (%s) has no --%s; choose another engine or remove it",
               speller->build, name);
    } else {
        const char *similar = suggest(speller->dialect, name);
        if (similar)
            refuse(speller, name, "this build (%s) has no --%s (did you mean --%s?)",
                   speller->build, name, similar);
        else
            refuse(speller, name, "this build (%s) has no --%s", speller->build, name);
    }
}

// Values ------------------------------------------------------------------------------------------

static bool is_on(const char *value) {
    bool on = false;
    return !value || !*value || (str_to_bool(value, &on) && on);
}

static bool is_off(const char *value) {
    bool on = true;
    return value && str_to_bool(value, &on) && !on;
}

static const char *best_name(const struct help_flag *flag, const char *name) {
    const struct setting_rule *rule = setting_rule_find(name);
    for (size_t i = 0; rule && i < SETTING_FLAGS_MAX && rule->flags[i]; i++) {
        if (args_has(&flag->names, rule->flags[i]))
            return rule->flags[i];
    }
    const char *positive = help_positive(flag);
    return positive ? positive : flag->names.items[0];
}

static void emit(struct speller *speller, const char *flag, const char *value) {
    args_add(speller->out, flag);
    if (value)
        args_add(speller->out, value);
}

static const char *allowed_word(const struct help_flag *flag, const char *value) {
    static const char *const on_words[] = {"on", "1", "true", "enabled"};
    static const char *const off_words[] = {"off", "0", "false", "none", "disabled"};
    if (args_has(&flag->values, value))
        return value;
    bool on = is_on(value);
    if (!on && !is_off(value))
        return NULL;
    const char *const *words = on ? on_words : off_words;
    size_t count =
        on ? sizeof(on_words) / sizeof(*on_words) : sizeof(off_words) / sizeof(*off_words);
    for (size_t i = 0; i < count; i++) {
        if (args_has(&flag->values, words[i]))
            return words[i];
    }
    return NULL;
}

static bool each_allowed(const struct help_flag *flag, const char *list) {
    while (*list) {
        size_t length = strcspn(list, ",");
        char word[64];
        snprintf(word, sizeof(word), "%.*s", (int)length, list);
        if (!args_has(&flag->values, word))
            return false;
        list += length + (list[length] == ',');
    }
    return true;
}

static void refuse_value(struct speller *speller, const char *name, const struct help_flag *flag,
                         const char *value) {
    struct buf list;
    buf_init(&list, 400);
    for (size_t i = 0; i < flag->values.count; i++) {
        if (!buf_printf(&list, "%s%s", i ? ", " : "", flag->values.items[i]))
            break;
    }
    const char *hint = "";
    if (str_starts(name, "cache-type") && (strstr(value, "turbo") || strstr(value, "tq")))
        hint = "; it needs the fork turbo-tan/llama.cpp-tq3";
    else if (str_starts(name, "cache-type") && (strcmp(value, "q6_0") == 0 || strstr(value, "KV")))
        hint = "; it needs ik_llama.cpp";
    refuse(speller, name, "this build (%s) knows no %s = %s; it takes: %s%s", speller->build, name,
           value, buf_text(&list), hint);
    buf_fini(&list);
}

static void spell_valued(struct speller *speller, const char *name, const struct help_flag *flag,
                         const char *value) {
    const char *spelling = best_name(flag, name);
    if (!value || !*value) {
        refuse(speller, name, "--%s needs a value (%s)", name, flag->placeholder);
        return;
    }
    if (flag->values.count > 0) {
        const char *word = allowed_word(flag, value);
        if (!word && strchr(value, ',') && each_allowed(flag, value))
            word = value;
        if (word)
            emit(speller, spelling, word);
        else
            refuse_value(speller, name, flag, value);
        return;
    }
    // "START END" and "FNAME SCALE" are two arguments.
    const char *gap = strchr(flag->placeholder, ' ');
    const char *space = strchr(value, ' ');
    if (gap && space && flag->placeholder[0] != '<') {
        emit(speller, spelling, NULL);
        args_addn(speller->out, value, (size_t)(space - value));
        args_add(speller->out, space + strspn(space, " "));
        return;
    }
    emit(speller, spelling, value);
}

// ik_llama.cpp's help does not show that these take a value.
static bool takes_hidden_value(const struct dialect *dialect, const char *name) {
    static const char *const names[] = {
        "mla-use",           "attention-max-batch",  "smart-expert-reduction", "dsa-top-k",
        "graph-reduce-type", "graph-attn-precision", "scheduler-async",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (dialect->family == DIALECT_IK && strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool is_on_by_default(const struct help_flag *flag) {
    return flag->initial &&
           (strcmp(flag->initial, "enabled") == 0 || strcmp(flag->initial, "true") == 0);
}

static void spell_switch(struct speller *speller, const char *name, const struct help_flag *flag,
                         const char *value) {
    const char *positive = help_positive(flag);
    const char *negative = help_negative(flag);
    if (is_on(value)) {
        if (positive)
            emit(speller, best_name(flag, name), NULL);
    } else if (is_off(value)) {
        if (negative)
            emit(speller, negative, NULL);
        else if (is_on_by_default(flag))
            problems_add(speller->problems, !setting_is_comfort(name), name,
                         "this build (%s) cannot switch --%s off", speller->build, name);
    } else {
        refuse(speller, name, "--%s takes on or off, not \"%s\"", name, value);
    }
}

// A row that has only "--no-x", asked for as x: off is the flag, on is its absence.
static bool spell_by_negation(struct speller *speller, const char *name, const char *value) {
    char dashed[128];
    snprintf(dashed, sizeof(dashed), "--no-%s", name);
    const struct help_flag *flag = dialect_flag(speller->dialect, dashed);
    if (!flag || flag->placeholder)
        return false;
    if (is_off(value))
        emit(speller, dashed, NULL);
    else if (!is_on(value))
        refuse(speller, name, "--%s takes on or off, not \"%s\"", name, value);
    return true;
}

static void spell_generic(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    if (flag && flag->placeholder)
        spell_valued(speller, name, flag, value);
    else if (flag && value && *value && takes_hidden_value(speller->dialect, name))
        emit(speller, best_name(flag, name), value);
    else if (flag)
        spell_switch(speller, name, flag, value);
    else if (!spell_by_negation(speller, name, value) &&
             !(is_off(value) && setting_is_comfort(name)))
        report_absent(speller, name);
}

// Settings with a meaning of their own ------------------------------------------------------------

static void spell_gpu_layers(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    int64_t count = -1;
    bool is_number = value && str_to_int(value, 0, 100000, &count);
    bool is_word = value && (strcmp(value, "all") == 0 || strcmp(value, "auto") == 0);
    if (!is_number && !is_word) {
        refuse(speller, name, "%s takes a number, all or auto, not \"%s\"", name,
               value ? value : "");
    } else if (!flag) {
        if (count != 0)
            refuse(speller, name, "this build (%s) has no GPU support, so no --%s", speller->build,
                   name);
    } else if (is_number || strstr(flag->text, "'all'")) {
        emit(speller, best_name(flag, name), value);
    } else if (strcmp(value, "all") == 0) {
        emit(speller, best_name(flag, name), "999"); // more than any model has
    } else {
        refuse(speller, name, "this build (%s) cannot choose %s by itself; write a number or all",
               speller->build, name);
    }
}

static void spell_flash_attn(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    const char *word = is_on(value) ? "on" : is_off(value) ? "off" : value;
    if (strcmp(word, "on") != 0 && strcmp(word, "off") != 0 && strcmp(word, "auto") != 0) {
        refuse(speller, name, "flash-attn takes on, off or auto, not \"%s\"", value);
    } else if (!flag) {
        if (strcmp(word, "on") == 0)
            report_absent(speller, name);
    } else if (flag->placeholder) {
        emit(speller, best_name(flag, name), word);
    } else if (strcmp(word, "auto") == 0) {
        warn(speller, name, "this build (%s) has no flash-attn = auto; left off", speller->build);
    } else {
        spell_switch(speller, name, flag, word);
    }
}

static void spell_fit(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    if (!is_on(value) && !is_off(value))
        refuse(speller, name, "fit takes on or off, not \"%s\"", value);
    else if (!flag && is_on(value))
        report_absent(speller, name);
    else if (flag && flag->placeholder)
        emit(speller, best_name(flag, name), is_on(value) ? "on" : "off");
    else if (flag)
        spell_switch(speller, name, flag, value);
}

static void spell_ui(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    bool off = is_off(value) || (value && strcmp(value, "none") == 0);
    if (flag && flag->placeholder) { // ik_llama.cpp: --webui NAME
        if (off)
            emit(speller, best_name(flag, name), "none");
        else if (!is_on(value))
            emit(speller, best_name(flag, name), value);
    } else if (flag || !spell_by_negation(speller, "webui", off ? "off" : "on")) {
        spell_generic(speller, name, off ? "off" : value);
    }
}

static void spell_alias(struct speller *speller, const char *name, const char *value) {
    const struct help_flag *flag = find_flag(speller->dialect, name);
    const char *comma = value ? strchr(value, ',') : NULL;
    if (!flag || !comma || strstr(flag->text, "comma-separated")) {
        spell_generic(speller, name, value);
        return;
    }
    char *first = mem_strndup(value, (size_t)(comma - value));
    emit(speller, best_name(flag, name), first);
    warn(speller, name, "this build (%s) takes one alias; only %s is passed on", speller->build,
         first);
    mem_free(first);
}

// How the model is read: one --load-mode in new builds, several switches in old ones. In the old
// ones mmap is on unless refused, and mlock comes on top of it.
static const char *wanted_load_mode(const struct speller *speller) {
    if (speller->load_mode)
        return speller->load_mode;
    if (speller->direct_io && is_on(speller->direct_io))
        return "dio";
    bool no_mmap = speller->mmap && is_off(speller->mmap);
    if (speller->mlock && is_on(speller->mlock))
        return no_mmap ? "mlock" : "mmap+mlock";
    if (no_mmap)
        return "none";
    return speller->mmap && is_on(speller->mmap) ? "mmap" : NULL;
}

static void emit_if_known(struct speller *speller, const char *name, const char *value) {
    if (find_flag(speller->dialect, name))
        spell_generic(speller, name, value);
    else if (!spell_by_negation(speller, name, value) && is_on(value))
        report_absent(speller, name);
}

static void spell_load_mode(struct speller *speller) {
    const char *mode = wanted_load_mode(speller);
    static const char *const modes[] = {"auto", "none", "mmap", "mlock", "mmap+mlock", "dio"};
    bool known = false;
    for (size_t i = 0; mode && i < sizeof(modes) / sizeof(modes[0]); i++)
        known |= strcmp(mode, modes[i]) == 0;
    const struct help_flag *flag = dialect_flag(speller->dialect, "--load-mode");
    if (!mode)
        return;
    if (!known) {
        refuse(speller, "load-mode",
               "load-mode takes auto, none, mmap, mlock, mmap+mlock or dio, not \"%s\"", mode);
    } else if (flag) {
        emit(speller, "--load-mode", mode);
    } else if (strcmp(mode, "dio") == 0) {
        emit_if_known(speller, "direct-io", "on");
    } else if (strcmp(mode, "auto") != 0) {
        if (!strstr(mode, "mmap")) // "none" and "mlock"
            emit_if_known(speller, "mmap", "off");
        if (strstr(mode, "mlock"))
            emit_if_known(speller, "mlock", "on");
    }
}

// Mainline names speculation types "draft-mtp", ik "mtp"; people write either.
static char *spec_type_word(const struct help_flag *flag, const char *word, bool ik) {
    if (ik && str_starts(word, "draft-"))
        return mem_strdup(strcmp(word, "draft-simple") == 0 ? "draft" : word + strlen("draft-"));
    if (!ik && flag->values.count > 0 && !args_has(&flag->values, word)) {
        char *longer =
            strcmp(word, "draft") == 0 ? mem_strdup("draft-simple") : mem_printf("draft-%s", word);
        if (args_has(&flag->values, longer))
            return longer;
        mem_free(longer);
    }
    return mem_strdup(word);
}

// ik: --spec-type draft:n_max=8,n_min=1,p_min=0.5
static void spell_staged_drafts(struct speller *speller, const struct help_flag *flag) {
    struct buf stage;
    buf_init(&stage, 1024);
    char *type = spec_type_word(flag, speller->spec_type ? speller->spec_type : "draft", true);
    buf_adds(&stage, type);
    const struct {
        const char *key;
        const char *value;
    } parts[] = {{"n_max", speller->draft_max},
                 {"n_min", speller->draft_min},
                 {"p_min", speller->draft_p_min}};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i].value)
            buf_printf(&stage, "%c%s=%s", strchr(buf_text(&stage), ':') ? ',' : ':', parts[i].key,
                       parts[i].value);
    }
    emit(speller, "--spec-type", buf_text(&stage));
    mem_free(type);
    buf_fini(&stage);
}

static void spell_speculation(struct speller *speller) {
    bool any = speller->draft_max || speller->draft_min || speller->draft_p_min;
    if (!any && !speller->spec_type)
        return;
    const struct help_flag *type = find_flag(speller->dialect, "spec-type");
    if (type && strstr(type->text, "n_max") && !find_flag(speller->dialect, "draft-max")) {
        spell_staged_drafts(speller, type);
        return;
    }
    if (speller->draft_max)
        spell_generic(speller, "draft-max", speller->draft_max);
    if (speller->draft_min)
        spell_generic(speller, "draft-min", speller->draft_min);
    if (speller->draft_p_min)
        spell_generic(speller, "draft-p-min", speller->draft_p_min);
    if (speller->spec_type && !type)
        report_absent(speller, "spec-type");
    if (speller->spec_type && type) {
        char *word = spec_type_word(type, speller->spec_type, false);
        spell_generic(speller, "spec-type", word);
        mem_free(word);
    }
}

// -------------------------------------------------------------------------------------------------

static bool keep_for_later(struct speller *speller, const char *name, const char *value) {
    const struct {
        const char *name;
        const char **slot;
    } slots[] = {
        {"load-mode", &speller->load_mode},
        {"mmap", &speller->mmap},
        {"mlock", &speller->mlock},
        {"direct-io", &speller->direct_io},
        {"draft-max", &speller->draft_max},
        {"draft-min", &speller->draft_min},
        {"draft-p-min", &speller->draft_p_min},
        {"spec-type", &speller->spec_type},
    };
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (strcmp(name, slots[i].name) == 0) {
            *slots[i].slot = value ? value : "on";
            return true;
        }
    }
    return false;
}

static void spell_one(struct speller *speller, const char *name, const char *value) {
    static const struct {
        const char *name;
        void (*spell)(struct speller *, const char *, const char *);
    } own[] = {
        {"gpu-layers", spell_gpu_layers},
        {"gpu-layers-draft", spell_gpu_layers},
        {"flash-attn", spell_flash_attn},
        {"fit", spell_fit},
        {"ui", spell_ui},
        {"alias", spell_alias},
    };
    if (keep_for_later(speller, name, value))
        return;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (strcmp(name, own[i].name) == 0) {
            own[i].spell(speller, name, value);
            return;
        }
    }
    spell_generic(speller, name, value);
}

// "no-perf = on" is "perf = off", and so on.
static void spell_setting(struct speller *speller, const struct setting *setting) {
    char *name = setting_canonical(speller->dialect, setting->name);
    assert(name);
    const char *value = setting->value;
    const char *positive = str_starts(name, "no-") ? name + strlen("no-") : NULL;
    const struct help_flag *flag = positive ? find_flag(speller->dialect, positive) : NULL;
    if (strlen(name) == 0 || strlen(name) > 100) {
        refuse(speller, setting->name, "\"%.100s\" is no setting", setting->name);
    } else if (positive && (!flag || flag->placeholder) &&
               spell_by_negation(speller, positive, is_on(value) ? "off" : "on")) {
        // "--no-mmproj" is not the opposite of "--mmproj FILE", and some have no opposite at all.
    } else if (positive && (flag || setting_rule_find(positive))) {
        char *canonical = setting_canonical(speller->dialect, positive);
        if (is_on(value) || is_off(value))
            spell_one(speller, canonical, is_on(value) ? "off" : "on");
        else
            refuse(speller, name, "--%s takes on or off, not \"%s\"", name, value);
        mem_free(canonical);
    } else {
        spell_one(speller, name, value);
    }
    mem_free(name);
}

bool dialect_spell(const struct dialect *dialect, const struct setting *settings, size_t count,
                   struct args *out, struct problems *problems) {
    size_t errors = problems->errors;
    char build[128];
    if (dialect->build > 0)
        snprintf(build, sizeof(build), "%s build %lld", dialect_family_name(dialect->family),
                 (long long)dialect->build);
    else
        snprintf(build, sizeof(build), "%s", dialect_family_name(dialect->family));
    struct speller speller = {.dialect = dialect, .build = build, .out = out, .problems = problems};
    for (size_t i = 0; i < count; i++)
        spell_setting(&speller, &settings[i]);
    spell_load_mode(&speller);
    spell_speculation(&speller);
    return problems->errors == errors;
}
