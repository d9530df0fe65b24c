#include "vision/text_ctc.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { LANES = 16 };

#define NOISE 1e-4f // a likelihood that says nothing

// The largest value; kept in lanes of its own, so that the compiler makes vectors of it. There are
// 18,710 classes a step and some thousand steps a photo.
static float largest(const float *values, size_t count) {
    float lanes[LANES];
    for (size_t k = 0; k < LANES; k++)
        lanes[k] = -INFINITY;
    size_t i = 0;
    for (; i + LANES <= count; i += LANES)
        for (size_t k = 0; k < LANES; k++)
            lanes[k] = values[i + k] > lanes[k] ? values[i + k] : lanes[k];
    for (; i < count; i++)
        lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
    float best = lanes[0];
    for (size_t k = 1; k < LANES; k++)
        best = fmaxf(best, lanes[k]);
    return best;
}

static size_t index_of(float value, const float *values, size_t count) {
    size_t i = 0;
    while (i < count - 1 && !(values[i] >= value))
        i++;
    return i;
}

static size_t likeliest(const float *values, size_t count) {
    if (!values || values[0] > .5f) // mostly it is nothing, and likelihoods sum up to 1
        return 0;
    return index_of(largest(values, count), values, count);
}

// What else than the class that was read, or nothing, the step says more surely than `c` knows.
static void note_second(struct text_char *c, const float *values, size_t class,
                        const struct dictionary *dictionary) {
    size_t count = dictionary->count;
    float below = largest(values + 1, class - 1),
          above = largest(values + class + 1, count - class - 1);
    float most = below > above ? below : above;
    if (!(most > c->second_confidence) || !(most > NOISE))
        return;
    size_t second = below == most
                        ? 1 + index_of(most, values + 1, class - 1)
                        : class + 1 + index_of(most, values + class + 1, count - class - 1);
    c->second_confidence = most;
    memcpy(c->second, dictionary->chars[second], sizeof c->second);
}

// A character that the steps [from, to) say; `from` is where it began, and its likelihood there is
// the reference's. What else it could have been is asked of the step that says so most.
static void add_char(struct text_line *line, const float *const *rows, size_t from, size_t to,
                     size_t class, const struct dictionary *dictionary, float step_share) {
    struct text_char *c = &line->chars[line->char_count++];
    *c = (struct text_char){.confidence = rows[from][class],
                            .x0 = fminf(1, (float)from * step_share),
                            .x1 = fminf(1, (float)to * step_share)};
    memcpy(c->text, dictionary->chars[class], sizeof c->text);
    for (size_t step = from; step < to; step++)
        note_second(c, rows[step], class, dictionary);
}

static void finish(struct text_line *line) {
    size_t length = 0;
    double sum = 0;
    for (size_t i = 0; i < line->char_count; i++) {
        length += strlen(line->chars[i].text);
        sum += (double)line->chars[i].confidence;
    }
    line->confidence = line->char_count ? (float)(sum / (double)line->char_count) : 0;
    char *at = line->text = mem_alloc(length + 1);
    for (size_t i = 0; i < line->char_count; i++) {
        size_t bytes = strlen(line->chars[i].text);
        memcpy(at, line->chars[i].text, bytes);
        at += bytes;
    }
}

// Where each step's likelihoods are; NULL for one that says nothing. The caller frees.
static const float **find_rows(const struct text_steps *steps, size_t classes) {
    const float **rows = mem_alloc((steps->count + 1) * sizeof *rows), *next = steps->likelihoods;
    for (size_t step = 0; step < steps->count; step++)
        if (!steps->kept || steps->kept[step] > 0) {
            rows[step] = next;
            next += classes;
        }
    return rows;
}

void text_ctc_read(struct text_line *line, const struct text_steps *steps,
                   const struct dictionary *dictionary, float step_share) {
    const float **rows = find_rows(steps, dictionary->count);
    line->chars = mem_alloc((steps->count + 1) * sizeof *line->chars);
    line->char_count = 0;
    size_t from = 0, said = 0;
    for (size_t step = 0; step <= steps->count; step++) {
        size_t class = step < steps->count ? likeliest(rows[step], dictionary->count) : 0;
        if (step > 0 && class == said && step < steps->count)
            continue;
        if (said)
            add_char(line, rows, from, step, said, dictionary, step_share);
        from = step;
        said = class;
    }
    mem_free(rows);
    finish(line);
}
