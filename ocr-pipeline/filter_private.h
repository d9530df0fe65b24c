// What filter.c and its parts share: a photo's lines, what each says, and the groups they form.
#pragma once

#include "filter.h"
#include "sheet.h"

// What a line says of where it belongs.
struct mark {
    unsigned plate;                 // points: labels, kVA, "TRANSFORMADOR"
    unsigned votes[TEXT_OTHER + 1]; // words that stand on other things
    bool maker;
};
void filter_mark(const struct sheet *sheet, const struct domains *domains, struct mark *marks);

// Lines that stand together. A group is named by its root line.
struct groups {
    size_t *root;
    struct mark *sums; // of the lines of a root
};
// Where a line stands to the box of a detector that is sure. What is inside of it and what is well
// outside never are one thing, however close they stand.
enum side { SIDE_UNKNOWN, SIDE_INSIDE, SIDE_OUTSIDE };
// `sides`: one a line.
void groups_init(struct groups *groups, const struct sheet *sheet, const struct mark *marks,
                 const enum side *sides);
void groups_fini(struct groups *groups);
size_t group_of(const struct groups *groups, size_t line);
// The class that a group's words speak for, when they outweigh its labels; NAMEPLATE: none.
enum text_class mark_foreign(const struct mark *mark);
