// Between sql.c and the two kinds of databases.
#pragma once

#include "sql.h"

struct sql_kind {
    bool (*run)(struct sql *sql, const char *statement, const char *const *texts, size_t count,
                sql_row_fn *on_row, void *arg, struct err *err);
    void (*close)(struct sql *sql);
};

// First in the struct of each kind.
struct sql {
    const struct sql_kind *kind;
    char where[256];
};
