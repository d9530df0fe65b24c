// Plates drawn as text, with what the rules make of them.
#pragma once

#include "domains.h"
#include "plate_draw.h"
#include "rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

// A plate as it is drawn, the values that are read from it, and the reasons to look at it again.
struct example {
    const char *name, *picture, *values, *reasons;
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static inline void check_example(const struct domains *domains, const struct example *example) {
    static struct drawing drawing;
    struct plate plate = {0};
    char values[1024], reasons[1024];
    draw(&drawing, example->picture);
    rules_read(&plate, drawing.lines, drawing.count, domains);
    drawing_fini(&drawing);
    values_text(&plate, values, sizeof values);
    reasons_text(&plate, reasons, sizeof reasons);
    if (strcmp(values, example->values) != 0 || strcmp(reasons, example->reasons) != 0)
        print_error("%s: %s\n", example->name, reasons);
    assert_string_equal(values, example->values);
    assert_string_equal(reasons, example->reasons);
}

static inline void check_examples(const struct example *examples, size_t count) {
    struct domains *domains = domains_create();
    domains_set_today(domains, 2026, 11);
    for (size_t i = 0; i < count; i++)
        check_example(domains, &examples[i]);
    domains_destroy(domains);
}
