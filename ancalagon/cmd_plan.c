// plan: how much memory a model takes with given settings, what fits, and what to choose.
#include "cli.h"
#include "plan_args.h"
#include "plan_outcome.h"
#include "plan_print.h"

static const char help[] =
    "usage: ancalagon plan MODEL|PRESET [--device KIND[:SIZE] ...] [--ram SIZE] [--ctx N|max]\n"
    "                      [--kv TYPE] [--parallel N] [--kv-unified|--no-kv-unified]\n"
    "                      [--ngl N] [--n-cpu-moe N|auto] [--batch N] [--ubatch N]\n"
    "                      [--draft FILE] [--draft-n N] [--draft-ngl N] [--draft-kv TYPE]\n"
    "                      [--spec mtp] [--mmproj FILE]\n"
    "                      [--no-flash-attn] [--swa-full] [--split A,B] [--engine BUILD]\n"
    "                      [--json] [--config FILE]\n\n"
    "Weights + KV cache + compute buffers, from the file's header, before anything is started.\n"
    "  ancalagon plan model.gguf                         what fits this machine best\n"
    "  ancalagon plan model.gguf --device cuda:16G       ... another one\n"
    "  ancalagon plan coder --ctx 128K --kv q8_0         a preset, with changes\n" MACHINE_ARGS_HELP
    "\n"
    "Exit: 0 it fits, 1 it does not, 2 usage or a file that cannot be planned, 3 config error.\n";

int cmd_plan(int argc, char **argv) {
    struct plan_args args;
    struct plan_outcome outcome;
    int status = plan_args_parse(&args, argc, argv, help);
    if (status >= 0)
        return status;
    status = plan_outcome_make(&args, &outcome);
    if (status < 0) {
        if (args.cli.json)
            plan_print_json(&outcome);
        else
            plan_print_text(&outcome);
        status = outcome.plan.fits && !outcome.says[0] ? EXIT_DONE : EXIT_FAILED;
    }
    plan_outcome_fini(&outcome);
    return status;
}
