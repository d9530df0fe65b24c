// A model that sees (VLM) reads the plate: one picture in, lines of text out. It says neither where
// a line stands nor how sure it is.
#pragma once

#include "model_server.h"
#include "vision/geometry.h"
#include "vision/image.h"
#include "vision/text_reader.h"

// `part` of an upright photo, turned by `turned` quarters as the plate reads. The page's lines all
// have the part's box; their upright regions stand below each other, as they were said. Errors as
// model_server_ask.
bool model_read(struct model_server *server, const struct image *photo, struct box part,
                unsigned turned, const struct recall *recall, struct text_page *page,
                struct err *err);
// What it said, as lines: plain text, Markdown, JSON with texts in it, or an object of the eleven
// fields.
void model_read_lines(const char *said, struct box part, struct text_page *page);
