#include "sql_private.h"

void sql_close(struct sql *sql) {
    if (sql)
        sql->kind->close(sql);
}

const char *sql_where(const struct sql *sql) { return sql->where; }

bool sql_run(struct sql *sql, const char *statement, const char *const *texts, size_t count,
             sql_row_fn *on_row, void *arg, struct err *err) {
    return sql->kind->run(sql, statement, texts, count, on_row, arg, err);
}
