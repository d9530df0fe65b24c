/* Speed that depends on flags, for those who look for the fastest ones. */
#include "fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool speed_rule_set(struct knobs *knobs, const char *key, const char *value) {
    static const char *const kinds[] = {
        [SPEED_WITH] = "with.", [SPEED_EACH] = "each.", [SPEED_OOM_BELOW] = "oom_below."};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        size_t len = strlen(kinds[i]);
        if (strncmp(key, kinds[i], len) != 0 || knobs->speed_rules == SPEED_RULES_MAX)
            continue;
        struct speed_rule *rule = &knobs->speed_rule[knobs->speed_rules++];
        char *next;
        rule->kind = (enum speed_kind)i;
        snprintf(rule->flag, sizeof rule->flag, "--%s", key + len);
        char *dot = strchr(rule->flag, '.');
        rule->value[0] = 0;
        if (dot) {
            snprintf(rule->value, sizeof rule->value, "%s", dot + 1);
            *dot = 0;
        }
        rule->predict = strtol(value, &next, 10);
        rule->prompt = *next == ',' ? strtol(next + 1, NULL, 10) : 0;
        return true;
    }
    return false;
}

static const char *flag_value(const char *flag, int argc, char **argv) {
    const char *found = NULL;
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], flag) == 0)
            found = i + 1 < argc ? argv[i + 1] : "";
    return found;
}

void speed_apply(struct knobs *knobs, int argc, char **argv) {
    struct request_knobs *request = &knobs->request;
    for (int i = 0; i < knobs->speed_rules; i++) {
        const struct speed_rule *rule = &knobs->speed_rule[i];
        const char *value = flag_value(rule->flag, argc, argv);
        if (!value)
            continue;
        if (rule->kind == SPEED_EACH) {
            request->predict_us += rule->predict * strtol(value, NULL, 10);
            request->prompt_us += rule->prompt * strtol(value, NULL, 10);
        } else if (rule->kind == SPEED_OOM_BELOW && strtol(value, NULL, 10) < rule->predict) {
            knobs->exit_at_start = 1;
            snprintf(knobs->cause, sizeof knobs->cause, "oom");
        } else if (rule->kind == SPEED_WITH &&
                   (!rule->value[0] || strcmp(value, rule->value) == 0)) {
            request->predict_us = request->predict_us * rule->predict / 100;
            request->prompt_us = request->prompt_us * rule->prompt / 100;
        }
    }
}
