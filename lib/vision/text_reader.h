// Reads the text of a picture: PP-OCR's three networks (where is text, which way up, what does it
// say) as RapidOCR runs them, so that the text is the same. Blocking; one reader may be used by
// several threads at once.
#pragma once

#include "vision/geometry.h"
#include "vision/image.h"
#include "vision/onnx.h"

#include <stddef.h>
#include <stdint.h>

struct text_reader;

struct text_reader_options {
    const char *detect, *orient, *recognize; // ONNX files; orient NULL: lines are taken as upright
    const char *dictionary;                  // NULL: the recogniser's own metadata
    unsigned threads;                        // for one picture; 0: 2
    // Where is text. 0: the default.
    int side_min, side_max; // the shorter side is scaled up to, the longer down to; 736, 2000
    float pixel_threshold;  // a pixel is text above; 0.3
    float box_threshold;    // a region is text from; 0.5
    float unclip;           // how far a region grows; 1.6
    // What does it say.
    float line_confidence; // a line below is dropped; 0.5
    // Also look for lone digits and short values, which the detector mostly misses:
    // text_line.faint. Only on a page that does not lie on its side.
    bool faint;
    // A line that is unsure which way up goes as most of the page goes, and what is read unsurely
    // is read both ways. The reference leaves such lines as they lie: text_line.own_text.
    bool follow_page;
};
extern const struct text_reader_options text_reader_defaults; // no files

// One character with what it could have been. UTF-8, NUL-terminated.
struct text_char {
    char text[8], second[8]; // second "": nothing else was likely
    float confidence, second_confidence;
    float x0, x1; // share of the line's width, 0..1
};
struct text_line {
    struct quad quad;    // in pixels of the picture; top left and so on as the text reads
    struct quad upright; // the same in the page turned upright (text_page.turned): for geometry
    char *text;          // UTF-8
    float confidence;    // mean of its characters
    struct text_char *chars;
    size_t char_count;
    bool faint;  // a lone digit or a short value that the detector hardly saw
    bool turned; // other than the page: was read upside down or sideways
    // What the reference reads, which turns a line by nothing but what the line itself shows, where
    // that is another text; else NULL.
    char *own_text;
    float own_confidence;
};
struct text_page {
    struct text_line *lines; // in reading order: rows from the top, in a row from the left
    size_t count;
    unsigned turned; // quarter turns counter-clockwise that make the picture upright, 0..3
    // Where the time went, milliseconds (orient_ms: which way up, for which some lines are read);
    // network_ms: of it, inside the networks.
    double detect_ms, orient_ms, recognize_ms, network_ms;
};

struct text_reader *text_reader_create(struct onnx *onnx, const struct text_reader_options *options,
                                       struct err *err);
void text_reader_destroy(struct text_reader *reader);
// A page that lies on its side is searched for text as it lies, which is what the reference does
// and is half the work. The detector misses short values there that it sees in the page turned
// upright: who misses them calls text_reader_read_turned with text_page.turned.
bool text_reader_read(struct text_reader *reader, const struct image *image, struct text_page *page,
                      struct err *err);
// The same, but the picture is turned before text is looked for: quarters counter-clockwise. Places
// are those in the picture as it is.
bool text_reader_read_turned(struct text_reader *reader, const struct image *image,
                             unsigned quarters, struct text_page *page, struct err *err);
void text_page_fini(struct text_page *page);
