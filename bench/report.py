"""The one table that a run prints, and how it compares with what was promised."""
import os

ORDER = ["direct", "ancalagon", "haproxy", "llama-swap", "litellm"]
SWITCH_ORDER = ["by hand", "by hand, plain", "ancalagon", "llama-swap", "router"]


def number(value):
    if value is None:
        return "-"
    if value == float("inf"):
        return "never"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"


def ratio(value, base):
    return f"{value / base:.2f}" if value is not None and base else "-"


class Table:
    def __init__(self, results, targets):
        self.results, self.targets, self.rows = results, targets, []

    def row(self, label, values):
        ours = values.get("ancalagon")
        self.rows.append([label] + [number(values.get(name)) for name in self.targets] +
                         [ratio(ours, values.get("llama-swap")), ratio(ours, values.get("haproxy"))])

    def plain(self, label, measure):
        self.row(label, {name: self.results.get(name, measure) for name in self.targets})

    def added(self, label, measure):
        base = self.results.get("direct", measure)
        values = {name: self.results.get(name, measure) for name in self.targets}
        self.row(label, {name: value - base for name, value in values.items()
                         if name != "direct" and value is not None and base is not None})

    def show(self):
        heads = ["", *self.targets, "/ llama-swap", "/ haproxy"]
        widths = [max(len(row[i]) for row in [heads, *self.rows]) for i in range(len(heads))]
        for row in [heads, *self.rows]:
            print("  ".join([row[0].ljust(widths[0])] +
                            [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]))


def show_gateway(results, streams):
    table = Table(results, [name for name in ORDER if name in results.targets()])
    table.plain("requests/s, 16 connections", "rate")
    table.plain("request, quiet: p50 us", "request_p50")
    table.added("  added p50 us", "request_p50")
    table.added("  added p99 us", "request_p99")
    for count, every_ms in streams:
        table.added(f"{count} x {1000 // every_ms} events/s: added p50 us", f"event_p50_{count}")
        table.added("  added p99 us", f"event_p99_{count}")
        table.plain("  CPU us/event", f"event_cpu_{count}")
    table.plain("RSS at start, MB", "rss_start")
    table.plain("RSS, 500 idle streams, MB", "rss_500")
    table.plain("100 leave, engine told, ms", "leave_ms")
    table.plain("failed requests", "errors")
    table.show()


def show_switch(results):
    names = [name for name in SWITCH_ORDER if results.get(name, "switch_ms") is not None]
    if not names:
        return
    base = results.get("by hand", "switch_ms")
    plain = results.get("by hand, plain", "switch_ms")
    print("\nSwitch, real engine: request for the other preset to its first token")
    print(f"{'':16}{'ms':>8}{'/ by hand':>12}{'/ by hand, plain':>18}")
    for name in names:
        value = results.get(name, "switch_ms")
        print(f"{name:16}{value:8.0f}{ratio(value, base):>12}{ratio(value, plain):>18}")


def promises(results, streams):
    """(text, value, limit, more is better)"""
    def get(name, measure):
        return results.get(name, measure)

    def over(measure, name):
        ours, theirs = get("ancalagon", measure), get(name, measure)
        return ours / theirs if ours is not None and theirs else None

    def added(name):
        value, base = get(name, "request_p50"), get("direct", "request_p50")
        return value - base if value is not None and base is not None else None

    ours, theirs = added("ancalagon"), added("llama-swap")
    yield "requests/s, of llama-swap's", over("rate", "llama-swap"), 8, True
    yield "requests/s, of HAProxy's", over("rate", "haproxy"), .5, True
    yield ("added request p50, of llama-swap's",
           ours / theirs if ours is not None and theirs else None, .25, False)
    for count, _ in streams:
        yield (f"CPU an event, {count} streams, of HAProxy's", over(f"event_cpu_{count}", "haproxy"),
               1, False)
    yield "RSS at 500 idle streams, of llama-swap's", over("rss_500", "llama-swap"), .1, False
    full, empty = get("ancalagon", "rss_500"), get("ancalagon", "rss_start")
    yield ("RSS at 500 idle streams, MB above start",
           full - empty if full is not None and empty is not None else None, 8, False)
    yield "100 clients that leave: ms", get("ancalagon", "leave_ms"), 50, False
    for base, limit in (("by hand", 1), ("by hand, plain", .7)):
        yield f"switch, of {base}", over("switch_ms", base), limit, False


def show_promises(results, streams):
    print()
    for text, value, limit, more in promises(results, streams):
        if value is None:
            print(f"  -     {text}: not measured")
            continue
        good = value >= limit if more else value <= limit
        # by hand: the sides share the engine, so the last digits are noise
        print(f"  {'PASS' if good else 'miss'}  {text}: {value:.2f} "
              f"({'at least' if more else 'at most'} {limit:g})")


def show(results, options, streams):
    print(f"{options.rounds} rounds of {options.seconds:g} s a measurement, {os.cpu_count()} cores; "
          "medians")
    if not options.switch_only and results.targets():
        show_gateway(results, streams)
    show_switch(results)
    show_promises(results, streams)
