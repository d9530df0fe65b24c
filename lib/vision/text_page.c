// One picture: find the regions, cut them out, see which way up they are, read them, put them in
// order. Regions are worked on by several threads, each network run on one: a line is small, and
// two threads inside it wait for each other more than two lines beside each other do.
#include "base/mem.h"
#include "vision/crew.h"
#include "vision/text_detect.h"
#include "vision/text_order.h"
#include "vision/text_orient.h"
#include "vision/text_recognize.h"
#include "vision/text_sheet.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

// The reference reads six lines of similar width at once, all made as wide as the widest and at
// least 320. What is added counts: the network looks at a line as a whole, and with another width
// one text in twenty differs, mostly by a blank. So lines get the same width here, one by one.
enum { GROUP = 6, WIDTH_MIN = 320, WIDTH_MAX = 3200, FAINT_WIDTH = 64 };

#define UPSIDE_DOWN 0.9f // surely; below that a line is left as it is
#define READ_SURE 0.9f   // a line that was read so surely was the right way up
enum { JURY = 4 };  // so many lines are asked which way up, the longest; the rest if they differ
enum { FIRST = 2 }; // so many before anything is read

#define TALL 1.5f       // height to width of a region that is turned to be read
#define FAINT_SURE 0.7f // what is faint and read less surely is a speck

struct page_line {
    struct quad quad; // of the sheet
    struct image crop;
    bool faint;
    unsigned quarters; // counter-clockwise, by which the crop is turned
    unsigned lies;     // by so many it was turned when it was cut
    unsigned way;      // by so many it is to be read
    bool doubt;        // is read the other way up as well if it is read unsurely that way
    bool asked;        // which way up; the others are taken to be as those are
    float upside_down;
    bool read, read_both;
    unsigned read_way; // the way it was read
    int width;         // of the recogniser's input
    struct text_line line;
    struct text_line other; // the other way up, if it was read both ways
};

struct page_work {
    struct text_reader *reader;
    const struct image *picture; // the caller's
    unsigned quarters;           // that make it upright
    struct text_sheet sheet;
    struct page_line *lines;
    size_t count;
    size_t *order;          // of the jobs
    atomic_uint overturned; // of the longest lines; then the others wait until it is known
    double network_ms[CREW_MAX];
};

// From how the crop is turned to how it shall be.
static void turn_crop(struct page_line *line, unsigned quarters) {
    struct image turned;
    if (line->quarters == quarters)
        return;
    warp_turn(&turned, &line->crop, (quarters + 4 - line->quarters) % 4);
    image_fini(&line->crop);
    line->crop = turned;
    line->quarters = quarters;
}

static bool cut_job(void *context, size_t index, unsigned worker, struct err *err) {
    struct page_work *work = context;
    struct page_line *line = &work->lines[index];
    warp_quad(&line->crop, work->sheet.picture, &line->quad);
    if (!line->faint && (float)line->crop.height / (float)line->crop.width >= TALL)
        turn_crop(line, 1);
    line->lies = line->quarters;
    return true;
}

// As it lies, whichever way it was read meanwhile.
static bool ask_line(struct page_work *work, struct page_line *line, unsigned worker,
                     struct err *err) {
    turn_crop(line, line->lies);
    line->asked = true;
    return text_orient(work->reader, &line->crop, &line->upside_down, &work->network_ms[worker],
                       err);
}

static bool ask_job(void *context, size_t index, unsigned worker, struct err *err) {
    struct page_work *work = context;
    struct page_line *line = &work->lines[work->order[index]];
    return line->asked || ask_line(work, line, worker, err);
}

static void text_line_fini(struct text_line *line) {
    mem_free(line->text);
    mem_free(line->own_text);
    mem_free(line->chars);
}

static bool read_line(struct page_work *work, struct page_line *line, unsigned worker,
                      struct text_line *out, struct err *err) {
    return text_recognize(work->reader, &line->crop, line->width, out, &work->network_ms[worker],
                          err);
}

static bool is_surely_down(const struct page_line *line) { return line->upside_down > UPSIDE_DOWN; }

static bool is_surely_up(const struct page_line *line) {
    return line->upside_down < 1 - UPSIDE_DOWN;
}

// Like most of the page.
static bool runs_along(const struct page_work *work, const struct page_line *line) {
    return line->quarters % 2 == work->quarters % 2;
}

// The way in which the reference reads a line that was asked.
static unsigned own_way(const struct page_line *line) {
    return line->lies + (is_surely_down(line) ? 2 : 0);
}

// Which way a line is read. Where most of the page stands on its head, so do the lines along it
// that were unsure, if they follow it.
static void choose_way(const struct page_work *work, struct page_line *line) {
    bool follow = work->reader->options.follow_page;
    bool over = follow && work->quarters >= 2 && runs_along(work, line);
    bool down = is_surely_down(line), up = is_surely_up(line);
    bool flip = !line->asked ? over : over ? !up : down;
    line->way = line->faint ? work->quarters : line->lies + (flip ? 2 : 0);
    line->doubt = follow && line->asked && (flip != over || (flip && !down));
}

// From the reference, which knows nothing of the page.
static bool differs(const struct page_line *line) {
    return line->asked && !line->faint && line->way != own_way(line);
}

static bool read_other_way(struct page_work *work, struct page_line *line, unsigned worker,
                           struct err *err) {
    turn_crop(line, (line->way + 2) % 4);
    line->read_both = true;
    return read_line(work, line, worker, &line->other, err);
}

static void prefer_other_way(struct page_line *line) {
    struct text_line other = line->other;
    line->other = line->line;
    line->line = other;
    line->way = (line->way + 2) % 4;
}

// Read unsurely; the other way up it may say more.
static bool recognize_unsure(struct page_work *work, struct page_line *line, unsigned worker,
                             struct err *err) {
    if (!line->asked && !line->faint) {
        if (!ask_line(work, line, worker, err))
            return false;
        line->doubt = line->way == line->lies ? is_surely_down(line) : is_surely_up(line);
    }
    if (!line->doubt)
        return true;
    if (!read_other_way(work, line, worker, err))
        return false;
    if (!work->reader->options.follow_page || line->other.confidence > line->line.confidence)
        prefer_other_way(line);
    return true;
}

static bool recognize(struct page_work *work, struct page_line *line, unsigned worker,
                      struct err *err) {
    bool good = true;
    if (line->read_both) {
        line->way = line->read_way;
        return true;
    }
    if (!line->read || line->read_way != line->way) {
        text_line_fini(&line->line);
        line->line = (struct text_line){0};
        turn_crop(line, line->way);
        good = read_line(work, line, worker, &line->line, err);
    }
    if (good && line->line.confidence < READ_SURE)
        good = recognize_unsure(work, line, worker, err);
    if (good && differs(line) && !line->read_both)
        good = read_other_way(work, line, worker, err);
    line->read = true;
    line->read_way = line->way;
    return good;
}

static bool recognize_job(void *context, size_t index, unsigned worker, struct err *err) {
    struct page_work *work = context;
    return recognize(work, &work->lines[work->order[index]], worker, err);
}

// As if the page were upright, which most are; nobody has to be asked then but what runs across.
static bool upright_job(void *context, size_t index, unsigned worker, struct err *err) {
    struct page_work *work = context;
    struct page_line *line = &work->lines[work->order[index]];
    if (index >= JURY && atomic_load(&work->overturned) > 0)
        return true;
    bool across = !line->faint && !runs_along(work, line);
    if (across && !line->asked && !ask_line(work, line, worker, err))
        return false;
    choose_way(work, line);
    if (!recognize(work, line, worker, err))
        return false;
    if (index < JURY && runs_along(work, line) && is_surely_down(line))
        atomic_fetch_add(&work->overturned, 1);
    return true;
}

// qsort has no context, so what is sorted carries what it is sorted by.
struct ranked {
    double ratio;
    size_t index;
};

static int by_ratio(const void *a, const void *b) {
    const struct ranked *x = a, *y = b;
    if (x->ratio != y->ratio)
        return x->ratio < y->ratio ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

static double ratio_of(const struct page_line *line) {
    return (double)line->crop.width / line->crop.height;
}

// The lines that are not faint, the narrowest first; the caller frees.
static struct ranked *rank_lines(const struct page_work *work, size_t *count) {
    struct ranked *ranked = mem_alloc((work->count + 1) * sizeof *ranked);
    *count = 0;
    for (size_t i = 0; i < work->count; i++)
        if (!work->lines[i].faint)
            ranked[(*count)++] = (struct ranked){ratio_of(&work->lines[i]), i};
    qsort(ranked, *count, sizeof *ranked, by_ratio);
    return ranked;
}

// Which way up are the lines `from` .. `to` of the order?
static bool ask_lines(struct page_work *work, size_t from, size_t to, struct err *err) {
    size_t *order = work->order;
    work->order += from;
    bool good = crew_run(work->reader->options.threads, to - from, ask_job, work, err);
    work->order = order;
    return good;
}

// Those that run across the page are asked in any case: the others do not speak for them. `count`:
// how many lines the order holds then.
static bool ask_jury(struct page_work *work, size_t *count, struct err *err) {
    size_t across = 0, up = 0, next = 0;
    struct ranked *ranked = rank_lines(work, count);
    for (size_t i = *count; i-- > 0;)
        if (!runs_along(work, &work->lines[ranked[i].index]))
            work->order[across++] = ranked[i].index;
    for (size_t i = *count; i-- > 0;)
        if (runs_along(work, &work->lines[ranked[i].index]))
            work->order[across + next++] = ranked[i].index;
    mem_free(ranked);
    size_t asked = next < JURY ? *count : across + JURY;
    bool good = ask_lines(work, 0, asked, err);
    for (size_t i = across; i < asked; i++)
        up += is_surely_up(&work->lines[work->order[i]]);
    return good && (up == asked - across || ask_lines(work, asked, *count, err));
}

static void vote_on_ways(struct page_work *work) {
    double down = 0, up = 0;
    for (size_t i = 0; i < work->count; i++) {
        const struct page_line *line = &work->lines[i];
        if (line->asked && is_surely_down(line))
            down += ratio_of(line);
        else if (line->asked && is_surely_up(line))
            up += ratio_of(line);
    }
    work->quarters += work->count >= 3 && down > up ? 2 : 0;
}

// The reference has nothing faint, so it is read at its own width, which is quick.
static int faint_width(const struct page_work *work, const struct page_line *line) {
    int own = text_line_width(&line->crop, work->reader->line_height);
    return own < FAINT_WIDTH ? FAINT_WIDTH : own;
}

// Sets every line's width, and the order of the work: the widest first, so that the threads end at
// about the same time.
static void choose_widths(struct page_work *work) {
    int height = work->reader->line_height;
    size_t count, faint = 0;
    struct ranked *ranked = rank_lines(work, &count);
    for (size_t from = 0; from < count; from += GROUP) {
        size_t to = from + GROUP < count ? from + GROUP : count;
        double most = fmax((double)WIDTH_MIN / 48, ranked[to - 1].ratio);
        int width = (int)fmin(WIDTH_MAX, height * most);
        for (size_t i = from; i < to; i++)
            work->lines[ranked[i].index].width = width;
    }
    for (size_t i = 0; i < count; i++)
        work->order[i] = ranked[count - 1 - i].index;
    for (size_t i = 0; i < work->count; i++)
        if (work->lines[i].faint) {
            work->lines[i].width = faint_width(work, &work->lines[i]);
            work->order[count + faint++] = i;
        }
    mem_free(ranked);
}

static double spent_ms(struct page_work *work) {
    double sum = 0;
    unsigned threads = work->reader->options.threads;
    for (unsigned i = 0; i < CREW_MAX; i++) {
        sum += work->network_ms[i];
        work->network_ms[i] = 0;
    }
    size_t workers = threads < work->count ? threads : work->count;
    return sum / (double)(workers ? workers : 1);
}

// Were the longest lines read surely, or say themselves that they are upright? Who was not asked
// was sure.
static bool is_upright(const struct page_work *work) {
    size_t along = 0;
    for (size_t i = 0; i < work->count && along < JURY; i++) {
        const struct page_line *line = &work->lines[work->order[i]];
        if (line->faint || !runs_along(work, line))
            continue;
        along++;
        if (!line->read || !is_surely_up(line))
            return false;
    }
    return true;
}

// The longest lines stand on their head; reading them as they are would take longer than asking.
static bool begins_overturned(const struct page_work *work) {
    bool over = false;
    for (size_t i = 0; i < work->count && i < FIRST; i++) {
        const struct page_line *line = &work->lines[work->order[i]];
        over = over || (runs_along(work, line) && is_surely_down(line));
    }
    return over;
}

static bool recognize_lines(struct page_work *work, struct text_page *page, crew_job *job,
                            struct err *err) {
    double began = text_now_ms();
    bool good = crew_run(work->reader->options.threads, work->count, job, work, err);
    page->network_ms += spent_ms(work);
    page->recognize_ms += text_now_ms() - began;
    return good;
}

static bool find_ways(struct page_work *work, struct text_page *page, struct err *err) {
    double began = text_now_ms();
    size_t count;
    bool good = ask_jury(work, &count, err);
    vote_on_ways(work);
    if (good && work->quarters >= 2) // each for itself: the page does not say it for all
        good = ask_lines(work, 0, count, err);
    for (size_t i = 0; i < work->count; i++)
        choose_way(work, &work->lines[i]);
    choose_widths(work);
    page->network_ms += spent_ms(work);
    page->orient_ms += text_now_ms() - began;
    return good;
}

static bool read_lines(struct page_work *work, struct text_page *page, struct err *err) {
    double began = text_now_ms();
    if (!crew_run(work->reader->options.threads, work->count, cut_job, work, err))
        return false;
    choose_widths(work);
    if (!ask_lines(work, 0, work->count < FIRST ? work->count : FIRST, err))
        return false;
    page->network_ms += spent_ms(work);
    page->orient_ms = text_now_ms() - began;
    if (work->quarters == 0 && !begins_overturned(work)) {
        if (!recognize_lines(work, page, upright_job, err))
            return false;
        if (is_upright(work))
            return true;
    }
    return find_ways(work, page, err) && recognize_lines(work, page, recognize_job, err);
}

static struct quad begin_at(const struct quad *quad, size_t corner) {
    struct quad out;
    for (size_t i = 0; i < 4; i++)
        out.corners[i] = quad->corners[(i + corner) % 4];
    return out;
}

static bool is_blank(const char *text) { return text[strspn(text, " ")] == '\0'; }

// What a faint region may say: a number, a fuse link; words there are pieces of words.
static bool is_short_value(const struct text_line *line) {
    static const char wanted[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ.,-/";
    return line->confidence >= FAINT_SURE && line->text[strspn(line->text, wanted)] == '\0' &&
           strpbrk(line->text, "0123456789");
}

static bool says_something(const struct page_work *work, const struct text_line *line) {
    return line->text && !is_blank(line->text) &&
           line->confidence >= work->reader->options.line_confidence;
}

// Moves the lines that say something to the page.
static void keep_lines(struct page_work *work, struct text_page *page) {
    int width = work->picture->width, height = work->picture->height;
    page->lines = mem_alloc((work->count + 1) * sizeof *page->lines);
    page->turned = work->quarters;
    for (size_t i = 0; i < work->count; i++) {
        struct page_line *found = &work->lines[i];
        struct text_line *line = &found->line;
        if (!says_something(work, line) || (found->faint && !is_short_value(line)))
            continue;
        struct quad quad = text_sheet_quad(&work->sheet, &found->quad, work->picture);
        quad = begin_at(&quad, found->way);
        line->quad = quad;
        line->upright = quad_turn(&quad, page->turned, width, height);
        line->faint = found->faint;
        line->turned = found->way != work->quarters;
        if (differs(found) && says_something(work, &found->other) &&
            strcmp(found->other.text, line->text) != 0) {
            line->own_text = found->other.text;
            line->own_confidence = found->other.confidence;
            found->other.text = NULL;
        }
        page->lines[page->count++] = *line;
        *line = (struct text_line){0};
    }
    text_order(page->lines, page->count);
}

static void forget_lines(struct page_work *work) {
    for (size_t i = 0; i < work->count; i++) {
        image_fini(&work->lines[i].crop);
        text_line_fini(&work->lines[i].line);
        text_line_fini(&work->lines[i].other);
    }
    mem_free(work->lines);
    mem_free(work->order);
    work->lines = NULL;
    work->order = NULL;
    work->count = 0;
}

// Lays the sheet and finds the regions on it.
static bool find_lines(struct page_work *work, struct text_page *page, struct err *err) {
    struct text_regions regions;
    text_sheet_init(&work->sheet, work->picture, work->reader->options.side_max);
    if (!text_detect(work->reader, work->sheet.picture, &regions, &page->network_ms, err))
        return false;
    work->count = regions.count;
    work->lines = mem_alloc((work->count + 1) * sizeof *work->lines);
    work->order = mem_alloc((work->count + 1) * sizeof *work->order);
    for (size_t i = 0; i < work->count; i++) {
        work->lines[i].quad = regions.items[i].quad;
        work->lines[i].faint = regions.items[i].faint;
    }
    text_regions_fini(&regions);
    return true;
}

// Most of the text runs up or down. Lone digits are tall too, so length counts, not number.
static bool lies_on_its_side(const struct page_work *work) {
    float along = 0, down = 0;
    for (size_t i = 0; i < work->count; i++) {
        int width, height;
        warp_quad_size(&work->lines[i].quad, &width, &height);
        if (height >= 2 * width)
            down += (float)height;
        else if (width >= 2 * height)
            along += (float)width;
    }
    return work->count >= 3 && down > 2 * along;
}

bool text_reader_read(struct text_reader *reader, const struct image *image, struct text_page *page,
                      struct err *err) {
    struct page_work work = {.reader = reader, .picture = image};
    *page = (struct text_page){0};
    if (image->width < 1 || image->height < 1)
        return err_set(err, ERR_INVALID, "an empty picture");
    double began = text_now_ms();
    bool good = find_lines(&work, page, err);
    work.quarters = good && lies_on_its_side(&work) ? 1 : 0;
    page->detect_ms = text_now_ms() - began;
    good = good && read_lines(&work, page, err);
    if (good)
        keep_lines(&work, page);
    forget_lines(&work);
    text_sheet_fini(&work.sheet);
    return good;
}

bool text_reader_read_turned(struct text_reader *reader, const struct image *image,
                             unsigned quarters, struct text_page *page, struct err *err) {
    struct image turned;
    if (quarters % 4 == 0)
        return text_reader_read(reader, image, page, err);
    warp_turn(&turned, image, quarters);
    bool good = text_reader_read(reader, &turned, page, err);
    for (size_t i = 0; good && i < page->count; i++) {
        struct quad *quad = &page->lines[i].quad;
        *quad = quad_turn(quad, 4 - quarters % 4, turned.width, turned.height);
    }
    page->turned = (page->turned + quarters) % 4;
    image_fini(&turned);
    return good;
}

void text_page_fini(struct text_page *page) {
    for (size_t i = 0; i < page->count; i++)
        text_line_fini(&page->lines[i]);
    mem_free(page->lines);
    *page = (struct text_page){0};
}
