#include "engine/launch.h"

#include "base/mem.h"
#include "base/str.h"
#include "engine/environment.h"

#include <stdio.h>
#include <string.h>

// What a preset may not set, and why. A trailing "*" stands for any rest.
static const struct {
    const char *name;
    const char *why;
} owned[] = {
    {"host", "engines listen where only ancalagon reaches them; set listen in [server]"},
    {"port", "engines listen where only ancalagon reaches them; set listen in [server]"},
    {"reuse-port", "engines listen where only ancalagon reaches them"},
    {"api-key*", "ancalagon makes the engine's key; set api-key-file in [server] for yours"},
    {"ssl-*", "engines are reached over a local socket; put TLS in front of ancalagon"},
    {"api-prefix", "ancalagon needs the engine's paths as they are"},
    {"path", "ancalagon serves no files of the engine"},
    {"cors-*", "ancalagon answers browsers; set allow-origin in [server]"},
    {"props", "clients must not change an engine's global settings"},
    {"tools*", "an engine must not run tools for its clients"},
    {"agent", "an engine must not run tools for its clients"},
    {"mcp-*", "an engine must not run tools for its clients"},
    {"ui-mcp-proxy", "an engine must not fetch pages for its clients"},
    {"webui-mcp-proxy", "an engine must not fetch pages for its clients"},
    {"media-path", "clients must not read files through the engine"},
    {"models-*", "one engine serves one model here; write a preset for each"},
    {"hf-*", "an engine fetches nothing; give the file in model"},
    {"model-url", "an engine fetches nothing; give the file in model"},
    {"mmproj-url", "an engine fetches nothing; give the file in mmproj"},
    {"docker-repo", "an engine fetches nothing; give the file in model"},
    {"sleep-idle-seconds", "ancalagon stops idle engines; set idle-off"},
    {"help", "it would only print and end"},
    {"version", "it would only print and end"},
    {"list-devices", "it would only print and end"},
    {"cache-list", "it would only print and end"},
    {"completion-bash", "it would only print and end"},
    {"usage", "it would only print and end"},
    {"log-disable", "ancalagon reads the engine's log to tell why a start failed"},
};

static const char *reason_refused(const char *name) {
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        size_t length = strlen(owned[i].name);
        if (owned[i].name[length - 1] == '*' ? strncmp(name, owned[i].name, length - 1) == 0
                                             : strcmp(name, owned[i].name) == 0)
            return owned[i].why;
    }
    return NULL;
}

static void add_setting(struct setting *list, size_t *count, const char *name, const char *value) {
    list[(*count)++] = (struct setting){name, value};
}

static const char *find_setting(const struct launch_spec *spec, char *const *names,
                                const char *wanted) {
    const char *value = NULL;
    for (size_t i = 0; i < spec->setting_count; i++) {
        if (strcmp(names[i], wanted) == 0)
            value = spec->settings[i].value ? spec->settings[i].value : "on";
    }
    return value;
}

// The engine's own fit pass costs as much as the load itself and quietly overrides, or is aborted
// by, an explicit placement: so it runs only where it has something left to decide.
static const char *wanted_fit(const struct launch_spec *spec, char *const *names,
                              struct problems *problems) {
    static const char *const placements[] = {"gpu-layers", "n-cpu-moe", "cpu-moe",
                                             "override-tensor", "tensor-split"};
    const char *placed = NULL;
    for (size_t i = 0; i < sizeof(placements) / sizeof(placements[0]); i++) {
        const char *value = find_setting(spec, names, placements[i]);
        if (value && strcmp(value, "auto") != 0)
            placed = placements[i];
    }
    const char *chosen = find_setting(spec, names, "fit");
    if (chosen) {
        bool on = false;
        if (placed && str_to_bool(chosen, &on) && on)
            problems_add(problems, false, "fit",
                         "fit = on and %s together make llama.cpp give up fitting and may run out "
                         "of memory; keep one of them",
                         placed);
        return NULL; // as the user says
    }
    bool no_gpu = spec->dialect->devices_known && spec->dialect->device_count == 0;
    if (no_gpu || (placed && find_setting(spec, names, "ctx-size")))
        return "off";
    return NULL;
}

static bool is_off_by_default(const struct dialect *dialect, const char *flag_name) {
    const struct help_flag *flag = dialect_flag(dialect, flag_name);
    return flag && flag->initial &&
           (strcmp(flag->initial, "disabled") == 0 || strcmp(flag->initial, "false") == 0);
}

static bool has_either(const struct dialect *dialect, const char *one, const char *other) {
    return dialect_flag(dialect, one) || dialect_flag(dialect, other);
}

// What goes along unasked, each only where the build knows it and the preset does not say.
static void add_own_settings(const struct launch_spec *spec, char *const *names,
                             struct setting *list, size_t *count, struct problems *problems) {
    const struct dialect *dialect = spec->dialect;
    const char *fit = wanted_fit(spec, names, problems);
    if (fit)
        add_setting(list, count, "fit", fit);
    if (!find_setting(spec, names, "ui") && has_either(dialect, "--no-webui", "--webui"))
        add_setting(list, count, "ui", "off");
    if (!find_setting(spec, names, "warmup") && has_either(dialect, "--warmup", "--no-warmup"))
        add_setting(list, count, "warmup", "off");
    if (!find_setting(spec, names, "offline") && dialect_flag(dialect, "--offline"))
        add_setting(list, count, "offline", "on");
    // Chat templates with tools need it; where there is a --no-jinja, it is the default.
    if (!find_setting(spec, names, "jinja") && dialect_flag(dialect, "--jinja") &&
        !dialect_flag(dialect, "--no-jinja"))
        add_setting(list, count, "jinja", "on");
    // The watchdog reads both.
    if (!find_setting(spec, names, "slots") && is_off_by_default(dialect, "--slots"))
        add_setting(list, count, "slots", "on");
    if (!find_setting(spec, names, "metrics") && dialect_flag(dialect, "--metrics"))
        add_setting(list, count, "metrics", "on");
}

static void add_listen(const struct launch_spec *spec, struct launch *launch) {
    if (spec->socket) {
        if (!spec->dialect->unix_socket)
            problems_add(&launch->problems, true, "host",
                         "this build cannot listen on a unix socket; it needs a port");
        args_add(&launch->argv, "--host");
        args_add(&launch->argv, spec->socket);
        return;
    }
    args_add(&launch->argv, "--host");
    args_add(&launch->argv, "127.0.0.1");
    args_add(&launch->argv, "--port");
    args_addf(&launch->argv, "%d", spec->port);
    if (spec->api_key_file && dialect_flag(spec->dialect, "--api-key-file")) {
        args_add(&launch->argv, "--api-key-file");
        args_add(&launch->argv, spec->api_key_file);
    } else if (spec->api_key) {
        args_add(&launch->argv, "--api-key");
        args_add(&launch->argv, spec->api_key);
    } else {
        problems_add(&launch->problems, true, "api-key",
                     "an engine on a port needs a key: anyone on this machine could use it");
    }
}

// The setting's name without a "no-": which question it answers, whatever the answer.
static char *question(const struct dialect *dialect, const char *name) {
    char *canonical = setting_canonical(dialect, name);
    if (!str_starts(canonical, "no-"))
        return canonical;
    char *plain = setting_canonical(dialect, canonical + strlen("no-"));
    mem_free(canonical);
    return plain;
}

bool launch_build(const struct launch_spec *spec, struct launch *launch) {
    memset(launch, 0, sizeof(*launch));
    args_init(&launch->argv);
    args_init(&launch->envp);
    size_t room = spec->setting_count + 16;
    struct setting *list = mem_alloc(room * sizeof(*list));
    char **names = mem_alloc(room * sizeof(*names));
    size_t count = 0;
    for (size_t i = 0; i < spec->setting_count; i++) {
        names[i] = question(spec->dialect, spec->settings[i].name);
        const char *why = reason_refused(names[i]);
        bool is_model = strcmp(names[i], "model") == 0;
        bool is_overruled = strcmp(names[i], "parallel") == 0 && spec->parallel > 0;
        if (why)
            problems_add(&launch->problems, true, names[i], "%s cannot be set in a preset: %s",
                         names[i], why);
        else if (!is_model && !is_overruled)
            add_setting(list, &count, spec->settings[i].name, spec->settings[i].value);
    }
    args_add(&launch->argv, spec->dialect->path);
    args_add(&launch->argv, "--model");
    args_add(&launch->argv, spec->model);
    add_listen(spec, launch);
    char slots[16];
    snprintf(slots, sizeof(slots), "%d", spec->parallel);
    if (spec->parallel > 0)
        add_setting(list, &count, "parallel", slots);
    add_own_settings(spec, names, list, &count, &launch->problems);
    dialect_spell(spec->dialect, list, count, &launch->argv, &launch->problems);
    environment_engine(spec->environment, &launch->envp);
    for (size_t i = 0; i < spec->setting_count; i++)
        mem_free(names[i]);
    mem_free(names);
    mem_free(list);
    return launch->problems.errors == 0;
}

void launch_fini(struct launch *launch) {
    args_fini(&launch->argv);
    args_fini(&launch->envp);
    problems_fini(&launch->problems);
}

static bool is_secret(const char *flag) {
    static const char *const secrets[] = {"--api-key", "--hf-token", "-hft"};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        if (strcmp(flag, secrets[i]) == 0)
            return true;
    }
    return false;
}

char *launch_describe(const struct launch *launch) {
    struct buf line;
    buf_init(&line, 64 * 1024);
    for (size_t i = 0; i < launch->argv.count; i++) {
        if (i > 0)
            buf_adds(&line, " ");
        if (i > 0 && is_secret(launch->argv.items[i - 1]))
            buf_adds(&line, "'***'");
        else
            args_quote(&line, launch->argv.items[i]);
    }
    return buf_take(&line, NULL);
}
