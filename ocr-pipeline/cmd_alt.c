// ocr-pipeline alt FILE.json: a batch of poles from a file, for schedulers. Photos leave the JSON
// as it is read and wait on the disk, in one file without a name, which is gone however we end.
#include "base/mem.h"
#include "base/path.h"
#include "base/progress.h"
#include "batch_tree.h"
#include "commands.h"
#include "event/loop.h"
#include "photo_run.h"
#include "pole.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char help[] =
    "usage: ocr-pipeline alt FILE.json [OPTIONS]\n\n"
    "Reads the photos of many poles, as POST /api/v41/ocr/lote takes them; - is standard input:\n"
    "  {\"postes\": [{\"id\": \"42\", \"imagens\": [\"BASE64\", {\"nome\": \"a.jpg\", \"dados\": ...}]}]}\n\n" PHOTO_RUN_HELP
    "\nPhotos are told as FILE.json#POLE/NUMBER/NAME; run again with the same FILE and --out it goes\n"
    "on where it was stopped.\n"
    "Exit codes: 0 all read, 1 some could not be, 2 usage, 3 config, 4 set-up is missing, 7 the disk\n"
    "is full, 9 there is no such file, 10 it is no batch, or passes a limit ([limits]).\n";

enum { PIECE_BYTES = 256 * 1024 };

struct kept {
    off_t at;
    size_t length;
    char *name; // as results tell it; NULL: no pole has it
};

struct alt {
    struct photo_run_options options;
    struct config *config;
    const char *file; // its name
    int input, spool; // -1
    off_t end;        // of the spool
    struct body *body;
    struct kept *photos; // as they came
    size_t came;
    size_t *order; // of those that a pole has
    size_t count;
};

// --- Photos to the disk

static bool open_spool(struct alt *alt, struct err *err) {
    if (!path_make_private(alt->config->state_dir, err))
        return false;
    char *path = path_join(alt->config->state_dir, "alt-XXXXXX");
    alt->spool = mkstemp(path);
    bool good = alt->spool >= 0 || err_errno(err, "cannot keep photos in %s", path);
    if (good)
        unlink(path);
    mem_free(path);
    return good;
}

static bool on_image(void *arg, size_t index, const void *bytes, size_t length, bool complete,
                     struct err *err) {
    struct alt *alt = arg;
    if (index == alt->came) { // its first piece
        if ((alt->came & (alt->came - 1)) == 0)
            alt->photos =
                mem_resize(alt->photos, (alt->came ? 2 * alt->came : 1) * sizeof *alt->photos);
        alt->photos[alt->came++] = (struct kept){.at = alt->end};
    }
    if (!path_write_all(alt->spool, bytes, length))
        return err_errno(err, "cannot keep photo %zu", index + 1);
    alt->end += (off_t)length;
    alt->photos[index].length = (size_t)(alt->end - alt->photos[index].at);
    return true;
}

static const struct body_ops body_ops = {pole_is_image, on_image};

// --- The file

static bool on_photo(void *arg, const struct batch_photo *photo) {
    struct alt *alt = arg;
    alt->photos[photo->index].name =
        mem_printf("%s#%s/%u%s%s", alt->file, photo->pole, photo->number + 1,
                   photo->name[0] ? "/" : "", photo->name);
    alt->order[alt->count++] = photo->index;
    return true;
}

static bool feed_all(struct alt *alt, struct err *err) {
    struct progress progress;
    struct stat st = {0};
    uint64_t total = 0;
    int64_t began_ms = loop_now_ms();
    char *piece = mem_alloc(PIECE_BYTES);
    bool good = true;
    progress_init(&progress, stderr);
    fstat(alt->input, &st);
    while (good) {
        ssize_t n = read(alt->input, piece, PIECE_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            good = n == 0 || err_errno(err, "cannot read %s", alt->file);
            break;
        }
        total += (uint64_t)n;
        int64_t elapsed_ms = loop_now_ms() - began_ms;
        progress_draw(&progress, alt->file, elapsed_ms,
                      elapsed_ms * (int64_t)st.st_size / (int64_t)total);
        good = total <= alt->config->body_bytes
                   ? body_feed(alt->body, piece, (size_t)n, err)
                   : err_set(err, ERR_LIMIT, "%s has more than %llu bytes ([limits] body)",
                             alt->file, (unsigned long long)alt->config->body_bytes);
    }
    progress_clear(&progress);
    mem_free(piece);
    return good;
}

static bool read_batch(struct alt *alt, struct err *err) {
    if (!open_spool(alt, err))
        return false;
    alt->body = batch_body(alt->config, &body_ops, alt);
    json_t *tree = feed_all(alt, err) ? body_end(alt->body, err) : NULL;
    alt->order = mem_alloc((alt->came + 1) * sizeof *alt->order);
    bool good = tree && batch_tree_read(tree, alt->config, alt->came, on_photo, alt, err);
    json_decref(tree);
    if (!good && !strstr(err->text, alt->file))
        err_context(err, "%s", alt->file);
    return good;
}

// --- The run

static const char *name(void *arg, size_t index) {
    const struct alt *alt = arg;
    return alt->photos[alt->order[index]].name;
}

static enum share_fault load(void *arg, size_t index, char **bytes, size_t *length,
                             struct err *err) {
    const struct alt *alt = arg;
    const struct kept *photo = &alt->photos[alt->order[index]];
    size_t got = 0;
    *bytes = mem_alloc(photo->length + 1);
    *length = photo->length;
    while (got < photo->length) {
        ssize_t n = pread(alt->spool, *bytes + got, photo->length - got, photo->at + (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err_errno(err, "cannot read what was kept of %s", photo->name);
            mem_free(*bytes);
            *bytes = NULL;
            return SHARE_FINE;
        }
        got += (size_t)n;
    }
    return SHARE_FINE;
}

static int work(struct alt *alt, const char *path) {
    struct err err = {0};
    bool standard = strcmp(path, "-") == 0;
    alt->file = standard ? path : path_name(path);
    alt->input = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (alt->input < 0)
        return command_fail(errno == ENOENT || errno == ENOTDIR ? EXIT_MISSING : EXIT_FAILED,
                            "%s: %s", path, strerror(errno));
    if (!read_batch(alt, &err))
        return command_fail(err.code == ERR_INVALID || err.code == ERR_LIMIT ? EXIT_NO_BATCH
                                                                             : command_status(&err),
                            "%s", err.text);
    struct photo_source source = {.count = alt->count, .name = name, .load = load, .arg = alt};
    return photo_run(&alt->options, alt->config, &source);
}

static void alt_fini(struct alt *alt) {
    if (alt->input > STDIN_FILENO)
        close(alt->input);
    if (alt->spool >= 0)
        close(alt->spool);
    for (size_t i = 0; i < alt->came; i++)
        mem_free(alt->photos[i].name);
    mem_free(alt->photos);
    mem_free(alt->order);
    body_destroy(alt->body);
    config_destroy(alt->config);
}

static bool take_option(void *arg, int letter) {
    return photo_run_option(&((struct alt *)arg)->options, letter);
}

int cmd_alt(int argc, char **argv) {
    static const struct option options[] = {PHOTO_RUN_OPTIONS};
    struct alt alt = {.input = -1, .spool = -1};
    int status = command_options(argc, argv, options, help, take_option, &alt);
    if (status >= 0)
        return status;
    if (optind + 1 != argc)
        return command_fail(EXIT_USAGE, "which file? One; see: ocr-pipeline alt --help");
    photo_run_options_end(&alt.options);
    alt.config = command_config(alt.options.config_path, &status);
    if (alt.config)
        status = work(&alt, argv[optind]);
    alt_fini(&alt);
    return status;
}
