// Does an engine build read a tensor type? Its own files tell: ggml keeps the name of every type it
// knows ("q4_K") as text. So forks are told apart by what they can do, not by what they are called.
#pragma once

enum reads {
    READS_UNKNOWN, // its files do not look like ggml's: a wrapper script, another layout
    READS_YES,
    READS_NO,
};

// `type` as in "TQ3_4S"; case does not matter. Looks at the binary and at the libggml*.so beside it
// or in ../lib. The last answers are kept.
enum reads reads_type(const char *engine, const char *type);
