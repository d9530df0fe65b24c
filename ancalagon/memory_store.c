#include "memory_store.h"

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "format/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    STORE_VERSION = 1,
    STORE_MAX = 4 << 20,
    CARDS_MAX = 64,
    PRESETS_MAX = 1024,
    OVERHEAD_MAX_MIB = 8192, // more is somebody else's
};

struct memory_store {
    json_t *root; // always {"version", "cards": [], "presets": {}}
    bool changed;
};

double memory_seen_difference(const struct memory_seen *seen) {
    return seen->predicted > 0 ? seen->measured / seen->predicted - 1 : 0;
}

bool memory_seen_differs(const struct memory_seen *seen) {
    return fabs(memory_seen_difference(seen)) > MEMORY_DIFFERS;
}

struct memory_store *memory_store_open(void) {
    struct memory_store *store = mem_alloc(sizeof *store);
    char *path = path_state("memory.json");
    size_t length;
    char *text = path_read_file(path, STORE_MAX, &length, NULL);
    json_t *root = text ? json_parse(text, length, 0, 0, NULL) : NULL;
    if (json_get_int(root, "version", 0) != STORE_VERSION ||
        !json_is_array(json_object_get(root, "cards")) ||
        !json_is_object(json_object_get(root, "presets"))) {
        json_decref(root);
        root = json_build("{s:i, s:[], s:{}}", "version", STORE_VERSION, "cards", "presets");
    }
    store->root = root;
    mem_free(text);
    mem_free(path);
    return store;
}

void memory_store_touch(struct memory_store *store) { store->changed = true; }

void memory_store_close(struct memory_store *store) {
    if (!store)
        return;
    json_decref(store->root);
    mem_free(store);
}

bool memory_store_text(struct memory_store *store, struct buf *text) {
    buf_init(text, STORE_MAX);
    bool ok = store->changed && json_write(text, store->root);
    store->changed = false;
    if (!ok)
        buf_fini(text);
    return ok;
}

bool memory_store_write(const struct buf *text, struct err *err) {
    char *folder = path_state(NULL), *path = path_state("memory.json");
    bool ok = path_make_private(folder, err) &&
              path_write_file(path, buf_bytes(text), text->length, 0600, err);
    mem_free(folder);
    mem_free(path);
    return ok;
}

bool memory_store_save(struct memory_store *store, struct err *err) {
    struct buf text;
    if (!memory_store_text(store, &text))
        return true;
    bool ok = memory_store_write(&text, err);
    buf_fini(&text);
    return ok;
}

// ---- presets ----

static double number(const json_t *object, const char *key) {
    double value = json_number_value(json_object_get(object, key));
    return isfinite(value) && value >= 0 && value < 1e9 ? value : 0;
}

static void copy_text(char *to, size_t size, const json_t *object, const char *key) {
    snprintf(to, size, "%s", json_get_text(object, key, ""));
}

static struct memory_sum sum_of(const json_t *object) {
    return (struct memory_sum){number(object, "weights_mib"), number(object, "kv_mib"),
                               number(object, "state_mib"), number(object, "compute_mib"), true};
}

json_t *memory_sum_json(const struct memory_sum *sum) {
    return json_build("{s:f, s:f, s:f, s:f}", "weights_mib", sum->weights_mib, "kv_mib",
                      sum->kv_mib, "state_mib", sum->state_mib, "compute_mib", sum->compute_mib);
}

bool memory_store_get(const struct memory_store *store, const char *preset,
                      struct memory_seen *out) {
    const json_t *entry = json_object_get(json_object_get(store->root, "presets"), preset);
    const json_t *parts = json_object_get(entry, "parts");
    *out = (struct memory_seen){0};
    if (!json_is_object(entry) || !json_is_array(parts))
        return false;
    copy_text(out->engine, sizeof out->engine, entry, "engine");
    copy_text(out->key, sizeof out->key, entry, "key");
    copy_text(out->worst, sizeof out->worst, entry, "worst");
    out->when = json_get_int(entry, "when", 0);
    int64_t ctx = json_get_int(entry, "ctx", 0);
    out->ctx = ctx > 0 && ctx < UINT32_MAX ? (uint32_t)ctx : 0;
    out->predicted = number(entry, "predicted_mib");
    out->measured = number(entry, "measured_mib");
    size_t i;
    json_t *part;
    json_array_foreach(parts, i, part) {
        if (out->parts == PLAN_DEVICES_MAX + 1)
            break;
        struct memory_seen_part *to = &out->part[out->parts++];
        copy_text(to->name, sizeof to->name, part, "name");
        to->predicted = sum_of(json_object_get(part, "predicted"));
        to->measured = sum_of(json_object_get(part, "measured"));
    }
    return out->parts > 0;
}

void memory_store_put(struct memory_store *store, const char *preset,
                      const struct memory_seen *seen) {
    json_t *presets = json_object_get(store->root, "presets"), *parts = json_array();
    if (json_object_size(presets) >= PRESETS_MAX)
        json_object_clear(presets); // names of a thousand presets that are long gone
    for (size_t i = 0; i < seen->parts; i++)
        json_array_append_new(parts,
                              json_build("{s:s, s:o, s:o}", "name", seen->part[i].name, "predicted",
                                         memory_sum_json(&seen->part[i].predicted), "measured",
                                         memory_sum_json(&seen->part[i].measured)));
    json_set(presets, preset,
             json_build("{s:s, s:s, s:I, s:I, s:f, s:f, s:s, s:o}", "engine", seen->engine, "key",
                        seen->key, "when", (json_int_t)seen->when, "ctx", (json_int_t)seen->ctx,
                        "predicted_mib", seen->predicted, "measured_mib", seen->measured, "worst",
                        seen->worst, "parts", parts));
    store->changed = true;
}

// ---- cards ----

static bool is_card(const json_t *entry, const char *engine, const struct plan_device *device) {
    return json_is_text(json_object_get(entry, "card"), device->card) &&
           json_is_text(json_object_get(entry, "kind"), plan_kind_name(device->kind)) &&
           json_get_int(entry, "total_mib", -1) == (int64_t)(device->total_bytes >> 20) &&
           json_is_text(json_object_get(entry, "engine"), engine);
}

static json_t *find_card(const struct memory_store *store, const char *engine,
                         const struct plan_device *device) {
    size_t i;
    json_t *entry;
    json_array_foreach(json_object_get(store->root, "cards"), i, entry) {
        if (is_card(entry, engine, device))
            return entry;
    }
    return NULL;
}

void memory_store_apply(const struct memory_store *store, const char *engine,
                        struct plan_machine *machine) {
    for (size_t i = 0; i < machine->devices; i++) {
        struct plan_device *device = &machine->device[i];
        const json_t *card = device->card[0] ? find_card(store, engine, device) : NULL;
        const json_t *overhead = json_object_get(card, "overhead_mib");
        if (json_is_number(overhead) && number(card, "overhead_mib") < OVERHEAD_MAX_MIB)
            device->overhead_bytes = (uint64_t)(number(card, "overhead_mib") * 1024 * 1024);
    }
}

void memory_store_learn_overhead(struct memory_store *store, const char *engine,
                                 const struct plan_device *device, double overhead_mib) {
    if (!device->card[0] || !(overhead_mib >= 0 && overhead_mib < OVERHEAD_MAX_MIB))
        return;
    json_t *cards = json_object_get(store->root, "cards");
    json_t *card = find_card(store, engine, device);
    if (card && fabs(number(card, "overhead_mib") - overhead_mib) < 1)
        return;
    if (!card && json_array_size(cards) >= CARDS_MAX)
        json_array_remove(cards, 0);
    if (!card) {
        card = json_build("{s:s, s:s, s:I, s:s}", "card", device->card, "kind",
                          plan_kind_name(device->kind), "total_mib",
                          (json_int_t)(device->total_bytes >> 20), "engine", engine);
        json_array_append_new(cards, card);
    }
    json_object_set_new(card, "overhead_mib", json_real(overhead_mib));
    json_object_set_new(card, "when", json_integer((json_int_t)time(NULL)));
    store->changed = true;
}
