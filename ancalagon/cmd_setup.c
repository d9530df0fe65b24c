// setup: makes ancalagon run by itself, as systemd user units; --uninstall takes all of it back.
#define _GNU_SOURCE
#include "base/mem.h"
#include "base/path.h"
#include "base/system.h"
#include "cli.h"
#include "config.h"
#include "control_client.h"
#include "install.h"
#include "systemctl.h"
#include "units.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: ancalagon setup [--yes] [--dry-run] [--uninstall] [--config FILE]\n\n"
    "Writes systemd user units, so that the first request to the port starts the server:\n"
    "  ancalagon.socket, ancalagon.service   the port and the server (sandboxed, watched)\n"
    "  ancalagon@PRESET.service              starting it is the same as: lmswitch PRESET\n"
    "and an example presets file if there is none. Lists every file first and asks. Run it again\n"
    "when presets change. A file that you edited is never overwritten or removed.\n\n"
    "  --yes          do not ask\n"
    "  --dry-run      only list\n"
    "  --uninstall    remove what setup wrote, and nothing else\n"
    "  --config FILE  presets file (default ~/.config/ancalagon/presets.ini)\n";

enum { MAX_TEXT = 256 * 1024 };

extern const char presets_example[]; // docs/presets.example.ini; written by tools/embed

struct setup {
    struct cli cli;
    char *config_path, *program, *state, *cache, *folder, *manifest;
    struct install *install;
    bool manager; // a user manager answers
};

// Nothing in it is in force until its user takes a semicolon away: the models are not theirs yet.
static void example_text(struct buf *out) {
    const char *end = presets_example + strlen(presets_example);
    for (const char *line = presets_example; line < end;) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));
        size_t length = (size_t)((stop ? stop : end) - line);
        if (length && line[0] != ';')
            buf_adds(out, "; ");
        buf_add(out, line, length);
        buf_adds(out, "\n");
        line += length + 1;
    }
}

static void want(struct setup *setup, const char *name, struct buf *text) {
    char *path = path_join(setup->folder, name);
    install_want(setup->install, path, buf_text(text), text->length);
    mem_free(path);
    buf_clear(text);
}

static void want_presets(struct setup *setup, const struct config *config, struct buf *text) {
    for (size_t i = 0; i < config->presets_count; i++) {
        struct buf name;
        buf_init(&name, 4096);
        buf_adds(&name, "ancalagon@");
        units_instance(&name, config->presets[i].name);
        buf_adds(&name, ".service.d/conflicts.conf");
        units_conflicts(text, config, &config->presets[i]);
        want(setup, buf_text(&name), text);
        buf_fini(&name);
    }
}

static void want_all(struct setup *setup, const struct config *config) {
    struct units_env env = {setup->program, setup->config_path, setup->state, setup->cache};
    struct buf text;
    buf_init(&text, MAX_TEXT);
    units_service(&text, &env);
    want(setup, "ancalagon.service", &text);
    units_socket(&text, config);
    want(setup, "ancalagon.socket", &text);
    units_template(&text, &env);
    want(setup, "ancalagon@.service", &text);
    want_presets(setup, config, &text);
    if (setup->manager && !systemctl_accepts(units_namespace_properties)) {
        units_no_namespaces(&text);
        struct buf copy; // both units need it
        buf_init(&copy, MAX_TEXT);
        buf_add(&copy, buf_bytes(&text), text.length);
        want(setup, "ancalagon.service.d/no-namespaces.conf", &text);
        want(setup, "ancalagon@.service.d/no-namespaces.conf", &copy);
        buf_fini(&copy);
    }
    example_text(&text);
    install_want_once(setup->install, setup->config_path, buf_text(&text), text.length);
    buf_fini(&text);
    // systemd makes this one when the socket is enabled.
    char *wants = path_join(setup->folder, "sockets.target.wants");
    install_want_folder(setup->install, wants);
    mem_free(wants);
    install_want_folder(setup->install, setup->cache);
}

static bool ask(const struct setup *setup, const char *question) {
    if (setup->cli.yes)
        return true;
    printf("%s [y/N] ", question);
    fflush(stdout);
    char answer[16] = "";
    if (!fgets(answer, sizeof answer, stdin))
        putchar('\n');
    return answer[0] == 'y' || answer[0] == 'Y';
}

static bool systemctl(const char *const *words) {
    struct buf out;
    buf_init(&out, 64 * 1024);
    int status = systemctl_user(words, &out);
    fputs("  systemctl --user", stdout);
    for (const char *const *word = words; *word; word++)
        printf(" %s", *word);
    putchar('\n');
    if (status != 0)
        fprintf(stderr, "ancalagon: systemctl failed (%d): %s\n", status, buf_text(&out));
    buf_fini(&out);
    return status == 0;
}

static const char *const reload_words[] = {"daemon-reload", NULL};
static const char *const enable_words[] = {"enable", "--now", "ancalagon.socket", NULL};
static const char *const disable_words[] = {"disable", "--now", "ancalagon.socket", NULL};
static const char *const stop_words[] = {"stop", "ancalagon@*.service", "ancalagon.service", NULL};

static void tell_by_hand(const char *second) {
    printf("No systemd user manager answers here. When there is one:\n"
           "  systemctl --user daemon-reload\n  %s\n",
           second);
}

static int start_units(const struct setup *setup) {
    if (!setup->manager) {
        tell_by_hand("systemctl --user enable --now ancalagon.socket");
        return EXIT_DONE;
    }
    if (!systemctl(reload_words) || !systemctl(enable_words))
        return cli_fail(EXIT_FAILED, "the units are written but not started; is a server already "
                                     "running on the port? (ancalagon stop)");
    puts("Done. The first request to the port starts the server; lmswitch works too.\n"
         "To run without being logged in: loginctl enable-linger");
    return EXIT_DONE;
}

static int refuse_without_answer(const struct setup *setup) {
    if (setup->cli.yes || setup->cli.dry_run || isatty(STDIN_FILENO))
        return -1;
    return cli_fail(EXIT_USAGE, "there is no terminal to ask on; add --yes (or --dry-run to look)");
}

// A folder that the server's sandbox is to write in must be there before it starts.
static bool make_writable_folders(const struct setup *setup, struct err *err) {
    return path_make_private(setup->state, err) && path_make_private(setup->cache, err);
}

static int do_install(struct setup *setup) {
    struct err err = {0};
    struct config *config = access(setup->config_path, F_OK) == 0
                                ? config_load(setup->config_path, &err)
                                : config_parse("", 0, setup->config_path, &err);
    if (!config)
        return cli_fail(EXIT_CONFIG, "%s", err.text);
    if (access(setup->config_path, F_OK) != 0)
        config_scan_models(config);
    want_all(setup, config);
    config_destroy(config);
    install_plan(setup->install);
    install_print(setup->install, stdout);
    bool changes = install_changes(setup->install) > 0;
    if (!changes)
        puts("All units are as they should be.");
    if (setup->cli.dry_run)
        return EXIT_DONE;
    int status = changes ? refuse_without_answer(setup) : -1;
    if (status >= 0)
        return status;
    if (changes && !ask(setup, "Go on?")) {
        puts("Nothing was changed.");
        return EXIT_FAILED;
    }
    if (!install_apply(setup->install, &err) || !make_writable_folders(setup, &err))
        return cli_fail(EXIT_FAILED, "%s", err.text);
    return start_units(setup);
}

static int do_uninstall(struct setup *setup) {
    struct err err = {0};
    if (install_is_empty(setup->install)) {
        puts("setup has written nothing here; there is nothing to remove.");
        return EXIT_DONE;
    }
    install_plan(setup->install);
    install_print(setup->install, stdout);
    if (setup->cli.dry_run)
        return EXIT_DONE;
    int status = refuse_without_answer(setup);
    if (status >= 0)
        return status;
    if (!ask(setup, "Stop the service and remove these?")) {
        puts("Nothing was changed.");
        return EXIT_FAILED;
    }
    if (setup->manager) { // before the files go: systemctl needs them to know what it stops
        systemctl(disable_words);
        systemctl(stop_words);
        systemctl_user((const char *const[]){"reset-failed", "ancalagon@*.service", NULL}, NULL);
    }
    if (!install_apply(setup->install, &err))
        return cli_fail(EXIT_FAILED, "%s", err.text);
    if (setup->manager)
        systemctl(reload_words);
    puts("Removed. Your presets, models and downloads are untouched.");
    return EXIT_DONE;
}

static bool prepare(struct setup *setup, struct err *err) {
    setup->program = system_program();
    if (!setup->program)
        return err_errno(err, "cannot find out where this program is");
    setup->state = path_state(NULL);
    setup->cache = path_cache(NULL);
    setup->folder = units_folder();
    setup->manifest = path_state("setup-manifest.json");
    setup->config_path = control_config_path(setup->cli.config, err);
    if (!setup->config_path)
        return false;
    setup->manager = systemctl_works();
    setup->install = install_open(setup->manifest, err);
    return setup->install != NULL;
}

int cmd_setup(int argc, char **argv) {
    struct setup setup = {0};
    struct err err = {0};
    int status =
        cli_parse(&setup.cli, argc, argv, CLI_YES | CLI_UNINSTALL | CLI_DRY_RUN, 0, 0, help);
    if (status >= 0)
        return status;
    if (!prepare(&setup, &err))
        status = cli_fail(EXIT_FAILED, "%s", err.text);
    else
        status = setup.cli.uninstall ? do_uninstall(&setup) : do_install(&setup);
    install_close(setup.install);
    mem_free(setup.config_path);
    mem_free(setup.program);
    mem_free(setup.state);
    mem_free(setup.cache);
    mem_free(setup.folder);
    mem_free(setup.manifest);
    return status;
}
