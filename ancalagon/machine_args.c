#include "machine_args.h"

#include "cli.h"
#include "preset_plan.h"

#include <stdio.h>
#include <string.h>

void machine_args_init(struct machine_args *args) {
    *args = (struct machine_args){.machine.ram_bytes = PLAN_UNKNOWN};
}

#define REFUSE(...) (cli_fail(EXIT_USAGE, __VA_ARGS__), -1)

// A size that somebody's machine may have; a bare number is MiB, which nobody means by 16.
static bool take_size(const char *option, const char *text, uint64_t *bytes) {
    enum { LEAST = 1 << 20, LEAST_BARE = 256 << 20 };
    if (!text || !plan_parse_size(text, bytes)) {
        cli_fail(EXIT_USAGE, "%s: \"%s\" is no size; write 16G or 16376M", option,
                 text ? text : "");
        return false;
    }
    int digits = (int)strspn(text, "0123456789");
    if (*bytes >= LEAST_BARE || (*bytes >= LEAST && text[digits]))
        return true;
    cli_fail(EXIT_USAGE, "%s: \"%s\" would be %g MiB; did you mean %.*sG?", option, text,
             (double)*bytes / LEAST, digits, text);
    return false;
}

static int take_device(struct machine_args *args, const char *text) {
    struct plan_machine *machine = &args->machine;
    char kind[16];
    const char *colon = text ? strchr(text, ':') : NULL;
    size_t length = text ? (colon ? (size_t)(colon - text) : strlen(text)) : 0;
    args->devices_told = true;
    if (length == 0 || length >= sizeof kind)
        return REFUSE("--device needs KIND[:SIZE], such as cuda:16G");
    memcpy(kind, text, length);
    kind[length] = '\0';
    enum plan_kind parsed;
    if (!plan_kind_parse(kind, &parsed))
        return REFUSE("\"%s\" is no device kind: cuda, rocm, vulkan, metal, rpc or cpu", kind);
    if (parsed == PLAN_CPU) { // everything in host memory; a size is the memory's
        if (colon && !take_size("--device cpu", colon + 1, &machine->ram_bytes))
            return -1;
        args->ram_told |= colon != NULL;
        return 2;
    }
    if (machine->devices == PLAN_DEVICES_MAX)
        return REFUSE("at most %d devices", PLAN_DEVICES_MAX);
    struct plan_device *device = &machine->device[machine->devices];
    *device = (struct plan_device){
        .kind = parsed, .capacity_bytes = PLAN_UNKNOWN, .overhead_bytes = PLAN_UNKNOWN};
    snprintf(device->name, sizeof device->name, "%s%zu", kind, machine->devices);
    machine->devices++;
    if (colon && !take_size("--device", colon + 1, &device->capacity_bytes))
        return -1;
    device->nominal = colon != NULL;
    return 2;
}

int machine_args_take(struct machine_args *args, char **argv) {
    if (strcmp(argv[0], "--device") == 0)
        return take_device(args, argv[1]);
    if (strcmp(argv[0], "--ram") != 0)
        return 0;
    args->ram_told = true;
    return take_size("--ram", argv[1], &args->machine.ram_bytes) ? 2 : -1;
}

void machine_args_resolve(const struct machine_args *args, const struct dialect_devices *listed,
                          struct plan_machine *out) {
    *out = args->machine;
    if (!args->devices_told) {
        preset_plan_machine(listed, out);
        if (args->ram_told)
            out->ram_bytes = args->machine.ram_bytes;
    } else if (!args->ram_told && out->devices == 0) {
        out->ram_bytes = plan_ram_available();
    }
}
