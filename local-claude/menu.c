#define _GNU_SOURCE
#include "menu.h"

#include "base/mem.h"
#include "base/path.h"
#include "model_choice.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { ESCAPE_MS = 50, MAX_SCREEN = 64 * 1024, MAX_MEMORY = 4096, DEFAULT_ROWS = 24, ABOUT = 46 };

enum key {
    KEY_NONE,
    KEY_UP,
    KEY_DOWN,
    KEY_TOP,
    KEY_END,
    KEY_ENTER,
    KEY_LEAVE,
    KEY_DIGIT,
    KEY_BACK
};

struct menu {
    int fd;
    const char *title;
    const struct model_files *files;
    size_t at, top;  // where the bar stands; first that is shown
    unsigned number; // being typed; 0 = none
    unsigned drawn;  // lines
};

static unsigned rows_of(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 4 ? size.ws_row : DEFAULT_ROWS;
}

static unsigned columns_of(int fd) {
    struct winsize size;
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

static void put(int fd, struct buf *screen) {
    size_t sent = 0;
    while (sent < screen->length) {
        ssize_t n = write(fd, buf_bytes(screen) + sent, screen->length - sent);
        if (n < 0 && errno != EINTR)
            break;
        sent += n > 0 ? (size_t)n : 0;
    }
    buf_fini(screen);
}

static void erase(const struct menu *menu, struct buf *screen) {
    if (menu->drawn)
        buf_printf(screen, "\r\033[%uA\033[J", menu->drawn);
}

// File names are anybody's: what could steer the terminal is shown as "?".
static void add_text(struct buf *screen, const char *text, size_t width) {
    size_t used = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p && used < width; p++) {
        bool plain = *p >= 0x20 && *p != 0x7f && !(p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0);
        buf_add(screen, plain ? (const char *)p : "?", 1);
        used += (*p & 0xc0) != 0x80;
    }
    for (; used < width; used++)
        buf_adds(screen, " ");
}

static void draw(struct menu *menu) {
    struct buf screen;
    buf_init(&screen, MAX_SCREEN);
    erase(menu, &screen);
    unsigned room = rows_of(menu->fd) - 3, columns = columns_of(menu->fd);
    size_t count = menu->files->count, shown = count < room ? count : room;
    if (menu->at < menu->top)
        menu->top = menu->at;
    if (menu->at >= menu->top + shown)
        menu->top = menu->at - shown + 1;
    buf_printf(&screen, "%s\r\n", menu->title);
    for (size_t i = menu->top; i < menu->top + shown; i++) {
        char about[160];
        const struct model_file *file = &menu->files->items[i];
        model_files_describe(file, about, sizeof about);
        size_t name = columns > 2 * ABOUT ? columns - ABOUT : columns / 2;
        buf_printf(&screen, "%s%3zu  ",
                   i == menu->at ? "\033[7m"
                   : file->fits  ? ""
                                 : "\033[2m",
                   i + 1);
        add_text(&screen, file->file, name);
        buf_adds(&screen, "  ");
        add_text(&screen, about, columns - name - 8);
        buf_adds(&screen, "\033[0m\r\n");
    }
    buf_printf(&screen, "arrow keys or number, Enter; Esc to leave%s", menu->number ? ": " : "");
    if (menu->number)
        buf_printf(&screen, "%u", menu->number);
    menu->drawn = (unsigned)shown + 1;
    put(menu->fd, &screen);
}

static int read_byte(int fd, int timeout_ms) {
    struct pollfd ready = {fd, POLLIN, 0};
    unsigned char byte;
    for (;;) {
        if (timeout_ms >= 0 && poll(&ready, 1, timeout_ms) <= 0)
            return -1;
        ssize_t n = read(fd, &byte, 1);
        if (n == 1)
            return byte;
        if (n == 0 || errno != EINTR)
            return -1;
    }
}

// Esc alone, or the beginning of an arrow key.
static enum key read_escape(int fd) {
    int second = read_byte(fd, ESCAPE_MS);
    if (second != '[' && second != 'O')
        return KEY_LEAVE;
    int third = read_byte(fd, ESCAPE_MS);
    while (third >= '0' && third <= '9') // "\033[5~" and the like
        third = read_byte(fd, ESCAPE_MS);
    return third == 'A'   ? KEY_UP
           : third == 'B' ? KEY_DOWN
           : third == 'H' ? KEY_TOP
           : third == 'F' ? KEY_END
                          : KEY_NONE;
}

static enum key read_key(int fd, unsigned *digit) {
    int byte = read_byte(fd, -1);
    *digit = (unsigned)(byte - '0');
    switch (byte) {
    case -1:
    case 3: // Ctrl-C, Ctrl-D
    case 4:
    case 'q': return KEY_LEAVE;
    case 27: return read_escape(fd);
    case '\r':
    case '\n': return KEY_ENTER;
    case 'k':
    case 16: return KEY_UP;
    case 'j':
    case 14: return KEY_DOWN;
    case 8:
    case 127: return KEY_BACK;
    default: return byte >= '0' && byte <= '9' ? KEY_DIGIT : KEY_NONE;
    }
}

static void type(struct menu *menu, unsigned number) {
    if (number > menu->files->count)
        return;
    menu->number = number;
    if (number > 0)
        menu->at = number - 1;
}

// False when the choice is made.
static bool step(struct menu *menu, enum key key, unsigned digit) {
    size_t last = menu->files->count - 1;
    if (key != KEY_DIGIT && key != KEY_BACK)
        menu->number = 0;
    switch (key) {
    case KEY_UP: menu->at = menu->at > 0 ? menu->at - 1 : last; break;
    case KEY_DOWN: menu->at = menu->at < last ? menu->at + 1 : 0; break;
    case KEY_TOP: menu->at = 0; break;
    case KEY_END: menu->at = last; break;
    case KEY_DIGIT: type(menu, menu->number * 10 + digit); break;
    case KEY_BACK: type(menu, menu->number / 10); break;
    case KEY_ENTER:
    case KEY_LEAVE: return false;
    case KEY_NONE: break;
    }
    return true;
}

int menu_choose(int fd, const char *title, const struct model_files *files, int start,
                struct err *err) {
    struct termios before, raw;
    if (files->count == 0 || tcgetattr(fd, &before) != 0) {
        err_set(err, ERR_SYSTEM, "there is no terminal to ask on");
        return -1;
    }
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG);
    raw.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    tcsetattr(fd, TCSADRAIN, &raw);
    struct menu menu = {fd, title, files, start > 0 ? (size_t)start : 0};
    enum key key;
    unsigned digit;
    do {
        draw(&menu);
        key = read_key(fd, &digit);
    } while (step(&menu, key, digit));
    struct buf screen;
    buf_init(&screen, 64);
    erase(&menu, &screen);
    put(fd, &screen);
    tcsetattr(fd, TCSADRAIN, &before);
    if (key == KEY_ENTER)
        return (int)menu.at;
    err_set(err, ERR_INVALID, "no model was chosen");
    return -1;
}

// --- Which one

static char *memory_path(const char *memory) {
    char *name = mem_printf("local-claude-%s", memory), *path = path_state(name);
    mem_free(name);
    return path;
}

static int last_used(const struct model_files *files, const char *memory) {
    char *path = memory_path(memory), *text = path_read_file(path, MAX_MEMORY, NULL, NULL);
    if (text)
        text[strcspn(text, "\n")] = '\0';
    int index = text ? model_files_by_path(files, text) : -1;
    mem_free(text);
    mem_free(path);
    return index;
}

void menu_remember(const char *memory, const char *model) {
    char *path = memory_path(memory), *text = mem_printf("%s\n", model);
    char *folder = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    if (path_make_private(folder, NULL)) // else it is asked again, no more
        path_write_file(path, text, strlen(text), 0600, NULL);
    mem_free(folder);
    mem_free(text);
    mem_free(path);
}

// A person is there: what we are given and what we say goes to a terminal.
static int open_terminal(void) {
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO) ? open("/dev/tty", O_RDWR | O_CLOEXEC)
                                                         : -1;
}

static int ask(const struct model_files *files, int last, int terminal, struct err *err) {
    char *title = mem_printf("Which model? (%s)", files->folder);
    int index = menu_choose(terminal, title, files, last, err);
    mem_free(title);
    return index;
}

static int refuse(const struct model_files *files, struct err *err) {
    struct buf list;
    buf_init(&list, 440);
    model_files_list(files, &list);
    err_set(err, ERR_INVALID, "say which model: --model NAME%s", buf_text(&list));
    buf_fini(&list);
    return -1;
}

int menu_decide(const struct model_files *files, const char *wanted, const char *memory,
                struct err *err) {
    bool habit = wanted && model_choice_is_anthropic(wanted); // "--model sonnet"
    int found = wanted ? model_files_find(files, wanted, err) : -1;
    if (found >= 0 || (wanted && !habit))
        return found;
    if (files->count == 0) {
        err_set(err, ERR_NOTFOUND, "there are no models in %s", files->folder);
        return -1;
    }
    int last = last_used(files, memory), terminal = files->count > 1 ? open_terminal() : -1;
    if (files->count == 1)
        return 0;
    if (terminal < 0)
        return last >= 0 ? last : refuse(files, err);
    found = ask(files, last, terminal, err);
    close(terminal);
    return found;
}
