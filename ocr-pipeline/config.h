// The settings of ocr-pipeline: one INI file, all of it optional. Without a file everything is at
// its default, and what set-up fetched is used. A wrong line is an error that names it.
#pragma once

#include "audit.h"
#include "base/err.h"
#include "format/ini.h"
#include "model_server.h"
#include "records.h"
#include "share.h"
#include "vision/image.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum read_by { READ_OCR, READ_VLM, READ_BOTH };
enum reason_by { REASON_RULES, REASON_LLM, REASON_BOTH };

struct config {
    char *path; // of the file; NULL: there is none
    // [server]
    const char *listen_host;  // numeric
    unsigned listen_port;     // 8091
    const char *api_key_file; // one key a line
    const char *allow_host;   // names, besides this machine's own, that a request may call us by
    const char *state_dir;    // jobs and their photos
    // [read]: where is text, what does it say
    enum read_by read_by;
    const char *runtime;                     // libonnxruntime; NULL: as onnx.h finds it
    const char *detect, *orient, *recognize; // ONNX files
    const char *dictionary;                  // NULL: in the recogniser's metadata
    unsigned threads;                        // of one photo
    unsigned workers;                        // photos at a time
    unsigned side_pixels;                    // a photo is read at this longer side
    float box_confidence, line_confidence;   // of a region, of a line
    // [plate]: where is the plate
    const char *plate_model; // ONNX; ours unless another is named; NULL: texts alone tell
    const char *plate_names; // NULL: in its metadata
    float plate_confidence;
    float plate_padding;        // of the box's sides, each side
    enum reason_by reason_by;   // [reason]: which text is which field
    struct audit_options audit; // [audit]: what sends a photo to a person
    // [vlm], [llm]: models that see, that read text; [gpu]: what they share
    struct model_options vlm, llm;
    bool vlm_fallback, llm_fallback; // without it: as if it were not configured
    int64_t gpu_wait_ms, gpu_pause_ms, gpu_retry_ms;
    struct records_options records; // [records]: what the utility knows
    float records_tolerance;        // of power
    // [limits]
    uint64_t photo_bytes, photo_pixels;
    uint64_t body_bytes;           // of one request
    unsigned poles, photos_a_pole; // of one batch
    unsigned queue;                // photos that wait, besides those of jobs
    int64_t file_wait_ms;          // of a command, for one file of this machine
    int64_t keep_ms;               // of a job that has ended
    struct share *shares;          // [share NAME]
    size_t share_count;
    struct ini *ini; // other sections belong to those who know them; NULL without a file
    char **texts;    // what the members above point into
    size_t text_count;
};

// path NULL: ~/.config/ancalagon/ocr.ini, which need not be there. ERR_INVALID: "FILE:LINE: why".
struct config *config_load(const char *path, struct err *err);
void config_destroy(struct config *config); // NULL is fine

// "127.0.0.1:8091", "8091", "[::1]:8091"; replaces what the file says.
bool config_listen(struct config *config, const char *text, struct err *err);
// PP-OCRv6 tiny, as `tools/get-ocr --fast` fetches it, in place of the small networks.
void config_fast(struct config *config);
bool config_has_records(const struct config *config);
const struct share *config_share(const struct config *config, const char *name); // NULL: none
// The share that a photo lies on, the one with the longest location; NULL: none of ours.
const struct share *config_share_of(const struct config *config, const char *source);
struct image_limits config_image_limits(const struct config *config);
