// local-claude [OPTIONS] [CLAUDE_ARGS...]: starts Claude Code against a local model.
#define _GNU_SOURCE
#include "airgap.h"
#include "backends.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"
#include "budget.h"
#include "claude.h"
#include "environment.h"
#include "learned.h"
#include "mcp.h"
#include "options.h"
#include "project.h"
#include "relay.h"
#include "run.h"
#include "seed.h"
#include "user_settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATUS_FAILED = 1, STATUS_USAGE = 2, STATUS_NO_CLAUDE = 127 };

#define EXCLUDE "--exclude-dynamic-system-prompt-sections"

static const char help_head[] =
    "usage: local-claude [OPTIONS] [--] [CLAUDE_ARGS...]\n\n"
    "Starts Claude Code on a local model. Your own `claude`, its settings and its login stay as\n"
    "they are. Arguments that are not listed here go to Claude Code.\n\n"
    "  --backend NAME   where the model runs; without it, the first that is found:\n";

static const char help_rest[] =
    "  --host HOST      the server (default this machine); HOST:PORT and http://... will do\n"
    "  --port PORT      its port (default 1234)\n"
    "  --model NAME     which of its models\n"
    "  --ctx N          tokens of context, such as 64K, where the server does not tell\n"
    "  --lean           only the six core tools: 4K tokens of prompt in place of 20K\n"
    "  --draft WHAT     a smaller model that guesses ahead: FILE, auto or none (llama, remote-llama)\n"
    "  --kv TYPE        of the KV cache, such as q8_0 (lmstudio)\n"
    "  --airgap         the agent and its tools reach nothing but the model\n"
    "  --print-env      print the environment for a shell (eval) and run nothing\n"
    "  --dry-run        say what would be run\n"
    "  --version        of local-claude and of Claude Code\n\n"
    "  local-claude -p \"what is in this folder?\"    ask once\n"
    "  local-claude --host gpu.box --model coder     talk to another machine\n"
    "  local-claude -- --help                        Claude Code's own help\n\n"
    "Settings also from the environment and ~/.config/local-claude.ini; see local-claude(1).\n"
    "Exit: Claude Code's own status; 1 no model, 2 usage, 127 no Claude Code.\n";

static int print_help(void) {
    fputs(help_head, stdout);
    for (size_t i = 0; backend_at(i); i++)
        printf("      %-14s %s\n", backend_at(i)->name, backend_at(i)->summary);
    return fputs(help_rest, stdout) < 0 || fflush(stdout) != 0;
}

// Everything that one run needs, in the order in which it comes to be.
struct session {
    struct options options;
    const struct backend *backend;
    struct place place;
    struct claude claude;
    struct mcp mcp;
    struct budget budget;
    struct loop *loop;
    struct airgap *airgap;
    struct relay *relay;
    char *config_dir, *settings;
    char **argv, **envp;
    bool opened, interactive;
    int signal; // that ended Claude Code; 0 = none
};

static int say(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// One line to the person; returns the status, so that `return say(...)` reads well.
static int say(int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("local-claude: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return status;
}

static void say_lines(const char *text) {
    while (*text) {
        size_t length = strcspn(text, "\n");
        fprintf(stderr, "local-claude: %.*s\n", (int)length, text);
        text += length + (text[length] != '\0');
    }
}

// --- Claude Code's command line

static void add_all(char **argv, size_t *count, const char *const *words) {
    for (; *words; words++)
        argv[(*count)++] = (char *)*words;
}

// Ours come first: --tools takes all words up to the next option, and would take the prompt too.
static char **make_argv(const struct session *session) {
    const struct options *options = &session->options;
    char **argv = mem_alloc((size_t)(options->claude_arg_count + 12) * sizeof *argv);
    size_t count = 0;
    argv[count++] = session->claude.path;
    add_all(argv, &count, budget_arguments(session->budget.tools));
    if (session->settings) {
        argv[count++] = "--settings";
        argv[count++] = session->settings;
    }
    if (session->claude.excludes_dynamic_prompt && !options_passes(options, "--system-prompt") &&
        !options_passes(options, EXCLUDE))
        argv[count++] = (char *)EXCLUDE;
    add_all(argv, &count, (const char *const *)options->claude_args);
    return argv;
}

static bool is_interactive(const struct options *options) {
    return !options_passes(options, "-p") && !options_passes(options, "--print");
}

static bool chooses_tools(const struct options *options) {
    static const char *const flags[] = {"--tools", "--bare", "--system-prompt",
                                        "--system-prompt-file", "--safe-mode"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (options_passes(options, flags[i]))
            return true;
    return false;
}

// --tools "": nobody need be told that there are none.
static bool wants_no_tools(const struct options *options) {
    for (char **word = options->claude_args; *word; word++)
        if (strcmp(*word, "--tools=") == 0 ||
            (strcmp(*word, "--tools") == 0 && word[1] && !word[1][0]))
            return true;
    return false;
}

// --- Steps of a run

// An address that is dead when this command ends would be worse than none.
static bool refuse_print_env(const char *whose, struct err *err) {
    return err_set(
        err, ERR_INVALID,
        "--print-env is for an ancalagon that runs: over %s Claude Code needs a relay or a "
        "model of ours, which end with this command. Use local-claude in place of claude "
        "(alias claude=local-claude)",
        whose);
}

static bool names_a_backend(const struct options *options, struct err *err) {
    return !options->backend || backend_find(options->backend) ||
           err_set(err, ERR_INVALID, "there is no backend \"%s\"; there are: %s", options->backend,
                   backend_names());
}

static bool open_place(struct session *session, struct err *err) {
    const struct options *options = &session->options;
    char why[256] = "";
    session->backend = options->backend ? backend_find(options->backend)
                                        : backend_discover(options, why, sizeof why, err);
    if (!session->backend)
        return false;
    if (options->print_env && !session->backend->lasting)
        return refuse_print_env(session->backend->name, err);
    if (!session->backend->open(options, &session->place, err))
        return false;
    session->opened = true;
    if (options->print_env && !session->place.direct)
        return refuse_print_env(session->place.label, err);
    const char *model = session->place.model;
    say(0, "%s, %s%s%s", session->place.label, model[0] == '/' ? strrchr(model, '/') + 1 : model,
        why[0] ? "; chosen because " : "", why);
    return true;
}

static bool make_budget(struct session *session, struct err *err) {
    const struct options *options = &session->options;
    struct budget_ask ask = {
        .context_tokens = session->place.context_tokens,
        .max_output_tokens = session->place.max_output_tokens,
        .version = session->claude.version,
        .interactive = session->interactive,
        .lean = options->lean,
        .chat_only = session->place.chat_only,
        .toolless = session->place.toolless && !wants_no_tools(options),
        .own_tools = chooses_tools(options),
        .project_tokens = project_tokens(),
    };
    learned_recall(&session->claude, session->interactive, ask.known_tokens);
    mcp_look(&session->mcp, options, session->config_dir);
    ask.mcp_servers = session->mcp.servers;
    ask.mcp_always = session->mcp.given;
    ask.mcp_tokens = session->mcp.servers > 0 ? learned_mcp(session->mcp.key) : 0;
    if (!budget_make(&session->budget, &ask, err))
        return false;
    struct buf text;
    buf_init(&text, 1024);
    budget_tell(&session->budget, &text);
    say_lines(buf_text(&text));
    buf_fini(&text);
    return true;
}

static char *direct_url(const struct place *place) {
    bool v6 = strchr(place->address, ':');
    return mem_printf(v6 ? "http://[%s]:%u%s" : "http://%s:%u%s", place->address, place->port,
                      place->prefix ? place->prefix : "");
}

static bool make_environment(struct session *session, struct err *err) {
    const struct place *place = &session->place;
    char *url = session->relay ? mem_strdup(relay_url(session->relay)) : direct_url(place);
    struct environment_facts facts = {
        .base_url = url,
        .socket = session->airgap ? airgap_socket(session->airgap) : NULL,
        .token = session->relay ? relay_token(session->relay)
                 : place->key   ? place->key
                                : "local",
        .model = environment_model_id(place->model),
        .config_dir = session->config_dir,
        .context_tokens = session->budget.context_tokens,
        .output_tokens = session->budget.output_tokens,
        .compacts = session->budget.compact_at > 0,
        .trims = place->trims,
        .counted = place->llama,
    };
    session->envp = environment_make(&facts, environ);
    mem_free(url);
    if (!session->claude.takes_settings)
        return true;
    session->settings = user_settings_merge(&session->options, session->envp, err);
    return session->settings != NULL;
}

// A version of Claude Code whose prompt nobody measured is measured once, by the relay; so are MCP
// servers. No URL names an interface, as an address of one link must.
static bool is_direct(const struct session *session) {
    const struct place *place = &session->place;
    bool measures = (session->budget.estimated || session->budget.mcp_unseen > 0) &&
                    !session->options.print_env;
    return place->direct && !measures && !session->airgap &&
           !(place->address && strchr(place->address, '%'));
}

static bool start_relay(struct session *session, struct err *err) {
    if (is_direct(session))
        return true;
    session->loop = session->loop ? session->loop : loop_create(err);
    if (!session->loop)
        return false;
    session->relay = relay_create(session->loop, &session->place,
                                  environment_model_id(session->place.model), session->airgap, err);
    return session->relay != NULL;
}

static void print_word(FILE *out, const char *word) {
    bool plain = word[0] && word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789-_=./,:@%+")] == '\0';
    if (plain) {
        fprintf(out, " %s", word);
        return;
    }
    fputs(" '", out);
    for (; *word; word++)
        fputs(*word == '\'' ? "'\\''" : (char[]){*word, '\0'}, out);
    fputc('\'', out);
}

static int print_environment(const struct session *session) {
    struct buf text;
    buf_init(&text, 1 << 20);
    bool ok = environment_print(session->envp, environ, &text);
    fputs(buf_text(&text), stdout);
    buf_fini(&text);
    fputs("local-claude: pass these to claude too:", stderr);
    for (char **word = session->argv + 1; *word; word++)
        if (strcmp(*word, "--settings") == 0)
            word++; // it repeats the environment, for projects that have settings of their own
        else
            print_word(stderr, *word);
    fputc('\n', stderr);
    return ok && fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static int print_plan(const struct session *session) {
    printf("model    %s at %s%s\n", session->place.model, session->place.label,
           session->relay ? ", through a relay of this run" : ", directly");
    printf("settings %s\n", session->config_dir);
    fputs("run     ", stdout);
    for (char **word = session->argv; *word; word++)
        print_word(stdout, *word);
    putchar('\n');
    return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
}

static int run(struct session *session, struct err *err) {
    struct run run = {session->claude.path, session->argv, session->envp, session->airgap};
    if (!session->relay && !session->backend->close) {
        run_become(&run, err);
        return -1;
    }
    session->loop = session->loop ? session->loop : loop_create(err);
    int status = session->loop ? run_child(session->loop, &run, &session->signal, err) : -1;
    if (session->relay) {
        learned_keep(&session->claude, session->interactive, session->budget.tools,
                     relay_prompt_tokens(session->relay));
        if (session->mcp.servers > 0)
            learned_keep_mcp(session->mcp.key, relay_mcp_tokens(session->relay));
    }
    return status;
}

// Before anything that the agent could be left without.
static bool make_airgap(struct session *session, struct err *err) {
    const struct options *options = &session->options;
    if (!options->airgap)
        return true;
    if (options->print_env)
        return err_set(err, ERR_INVALID,
                       "--print-env cannot be had with --airgap, which holds for one run only");
    session->airgap = airgap_create(err);
    if (session->airgap)
        say(0, "airgap: %s", airgap_means(session->airgap));
    return session->airgap != NULL;
}

// The exit status, or -1 and err tells.
static int work(struct session *session, struct err *err) {
    if (!open_place(session, err) || !make_budget(session, err) || !start_relay(session, err))
        return -1;
    if (!make_environment(session, err))
        return -1;
    session->argv = make_argv(session);
    if (session->options.print_env)
        return print_environment(session);
    if (session->options.dry_run)
        return print_plan(session);
    return run(session, err);
}

static void end(struct session *session) {
    relay_destroy(session->relay);
    airgap_destroy(session->airgap);
    loop_destroy(session->loop);
    if (session->opened && session->backend->close)
        session->backend->close();
    environment_free(session->envp);
    mem_free(session->argv);
    place_fini(&session->place);
    claude_fini(&session->claude);
    mem_free(session->config_dir);
    mem_free(session->settings);
    options_fini(&session->options);
}

// --- Runs that need no model

// `local-claude mcp add ...` is for the settings of this one, and talks to no model.
static int run_command(struct session *session, struct err *err) {
    size_t count = 0;
    session->envp = environment_make_offline(session->config_dir, environ);
    session->argv =
        mem_alloc((size_t)(session->options.claude_arg_count + 2) * sizeof *session->argv);
    session->argv[count++] = session->claude.path;
    add_all(session->argv, &count, (const char *const *)session->options.claude_args);
    struct run run = {session->claude.path, session->argv, session->envp, session->airgap};
    run_become(&run, err);
    return -1;
}

static bool needs_no_model(const struct session *session) {
    const struct options *options = &session->options;
    static const char *const flags[] = {"-v", "-h", "--help", "--version"};
    const char *first = options->claude_arg_count > 0 ? options->claude_args[0] : "";
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(first, flags[i]) == 0)
            return true;
    return options->claude_arg_count > 0 && claude_has_command(&session->claude, first);
}

static int prepare(struct session *session, struct err *err) {
    if (!claude_find(&session->claude, session->options.claude, err))
        return STATUS_NO_CLAUDE;
    session->config_dir = seed_folder();
    if (!seed_config(session->config_dir, err))
        return STATUS_FAILED;
    char **quiet = environment_make_offline(session->config_dir, environ);
    claude_learn(&session->claude, quiet);
    environment_free(quiet);
    session->interactive = is_interactive(&session->options);
    if (session->interactive)
        log_set_level(LOG_LEVEL_ERROR); // Claude Code has the terminal
    return 0;
}

static int run_session(struct session *session, struct err *err) {
    int status = prepare(session, err);
    if (session->options.version) {
        printf("local-claude " ANCALAGON_VERSION "\n%s%s\n",
               status || !session->claude.version ? "Claude Code not found"
                                                  : session->claude.version,
               status || !session->claude.version ? "" : " (Claude Code)");
        return 0;
    }
    if (status == 0 && !make_airgap(session, err))
        status = err->code == ERR_INVALID ? STATUS_USAGE : STATUS_FAILED;
    if (status != 0)
        return say(status, "%s", err->text);
    status = needs_no_model(session) ? run_command(session, err) : work(session, err);
    if (status >= 0)
        return status;
    return say(err->code == ERR_INVALID ? STATUS_USAGE : STATUS_FAILED, "%s", err->text);
}

int main(int argc, char **argv) {
    struct session session = {0};
    struct err err = {0};
    int status;
    if (!options_read(&session.options, argc, argv, &err))
        status = say(STATUS_USAGE, "%s; see: local-claude --help", err.text);
    else if (session.options.help)
        status = print_help();
    else if (!names_a_backend(&session.options, &err))
        status = say(STATUS_USAGE, "%s; see: local-claude --help", err.text);
    else
        status = run_session(&session, &err);
    end(&session);
    if (session.signal)
        run_die_by(session.signal);
    return status;
}
