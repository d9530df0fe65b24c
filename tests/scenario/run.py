#!/usr/bin/env python3
"""Runs the scenarios: run.py [--build DIR] [-k PATTERN] [--timeout SECONDS] [--jobs N] [--retry TIMES] [--list]

With --jobs 2 two tests run at a time; those that want the machine for themselves (`alone = True` in their
module, class or method) follow one by one. With --retry 1 a test that failed is run once more, alone, when all others are done. If it passes then
it counts as passed, and a line before the count names it: it is a flake, to be understood all the same.
When more than three tests failed nothing is run again."""
import argparse
import contextlib
import faulthandler
import fnmatch
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
RETRIED_MOST = 3  # more failures than that are no flake


class TooLong(Exception):
    pass


def on_alarm(_number, _frame):
    faulthandler.dump_traceback(all_threads=True)
    raise TooLong("the test took too long; its stacks are above")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


class Progress(unittest.TestResult):
    """One line a test; failures in full at once, so that a log shows them where they happened."""

    def __init__(self, total):
        super().__init__()
        self.total, self.bad, self.good, self.left_out = total, {}, 0, 0  # bad: name -> its test
        self.number = None  # of the test at hand among all; else they are counted here

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.broken = None
        self.was_skipped = None

    def addError(self, test, err):
        self.note(test, err)

    def addFailure(self, test, err):
        self.note(test, err)

    def addSubTest(self, test, subtest, err):
        if err:
            self.note(subtest, err)

    def addSkip(self, test, reason):
        self.was_skipped = reason
        super().addSkip(test, reason)

    def addUnexpectedSuccess(self, test):
        self.broken = f"--- {test} passes now: take its expectedFailure off\n"

    def note(self, test, err):
        self.broken = (self.broken or "") + f"--- {test}\n{self._exc_info_to_string(err, test)}"

    def stopTest(self, test):
        super().stopTest(test)
        took = time.monotonic() - self.began
        word = "FAIL" if self.broken else "skip" if self.was_skipped else "ok"
        note = f"  ({self.was_skipped})" if self.was_skipped and not self.broken else ""
        print(f"[{self.number or self.testsRun}/{self.total}] {word:4} {name_of(test)}  {took:.1f} s{note}",
              flush=True)
        if self.broken:
            self.bad[name_of(test)] = test
            print(self.broken, flush=True)
        elif self.was_skipped:
            self.left_out += 1
        else:
            self.good += 1


def name_of(test):
    return test.id()


def run_one(test, timeout, result):
    limit = getattr(getattr(test, test._testMethodName, None), "seconds", timeout)
    signal.setitimer(signal.ITIMER_REAL, limit * float(os.environ.get("ANCALAGON_TEST_SCALE", "1")))
    try:
        test.run(result)
    except TooLong as error:
        print(f"--- {name_of(test)}: {error}", flush=True)
        result.bad[name_of(test)] = test
    except KeyboardInterrupt:
        # unittest lets it pass and leaves what the test has started.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with contextlib.suppress(Exception):
            test.tearDown()
        test.doCleanups()
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_all(tests, timeout, result=None):
    """Runs them one by one, each with its own limit."""
    result = result or Progress(len(tests))
    for test in tests:
        run_one(test, timeout, result)
    return result


def wants_to_be_alone(test):
    places = (getattr(test, test._testMethodName, None), test, sys.modules[type(test).__module__])
    return any(getattr(place, "alone", False) for place in places)


def work_through(tests, timeout, total, following, said):
    """One of several processes: takes the next test that nobody has, until there is none."""
    while True:
        with following.get_lock():
            at, following.value = following.value, following.value + 1
        if at >= len(tests):
            return
        result = Progress(total)
        result.number = at + 1
        run_one(tests[at], timeout, result)
        said.send((at, result.good, result.left_out))


def run_beside(tests, timeout, jobs, result):
    """Runs them `jobs` at a time. A process that ends in the middle of a test has failed it."""
    following, workers = multiprocessing.Value("i", 0), {}
    for _ in range(jobs):
        end, said = multiprocessing.Pipe(duplex=False)
        worker = multiprocessing.Process(target=work_through,
                                         args=(tests, timeout, result.total, following, said))
        worker.start()
        said.close()
        workers[end] = worker
    try:
        done = set(note_what_they_say(list(workers), tests, result))
    except KeyboardInterrupt:
        for worker in workers.values():  # whoever asked may have asked this process only
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGINT)
            worker.join()
        raise
    for at, test in enumerate(tests):
        if at not in done:
            print(f"--- {name_of(test)}: its process ended before it did", flush=True)
            result.bad[name_of(test)] = test


def note_what_they_say(ends, tests, result):
    """Adds what the workers report to the result, until all have ended; yields which tests were run."""
    while ends:
        for end in multiprocessing.connection.wait(ends):
            try:
                at, good, left_out = end.recv()
            except EOFError:
                ends.remove(end)
                continue
            result.testsRun += 1
            result.good += good
            result.left_out += left_out
            if not good and not left_out:
                result.bad[name_of(tests[at])] = tests[at]
            yield at


def run_again(result, timeout):
    """Once more what failed; returns the names of what passes now."""
    print(f"once more: {len(result.bad)} failed", flush=True)
    second = run_all(list(result.bad.values()), timeout)
    skipped = {name_of(test) for test, _ in second.skipped}
    return [name for name in result.bad if name not in second.bad and name not in skipped]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "..", "build"))
    parser.add_argument("-k", dest="pattern", action="append", default=[])
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="tests at a time (default: 1)")
    parser.add_argument("--retry", type=int, default=0, metavar="TIMES")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    os.environ["ANCALAGON_BUILD"] = os.path.abspath(options.build)
    sys.path.insert(0, HERE)
    faulthandler.enable()
    loader = unittest.TestLoader()
    tests = list(flatten(loader.discover(HERE, "test_*.py", HERE)))
    if options.pattern:
        tests = [test for test in tests if any(
            fnmatch.fnmatch(name_of(test), p) or p in name_of(test) for p in options.pattern)]
    if options.list:
        print("\n".join(name_of(test) for test in tests))
        return 0
    if not tests:
        print("no test matches", file=sys.stderr)
        return 2
    signal.signal(signal.SIGALRM, on_alarm)
    # Behind "&" or nohup some are ignored, and what we start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    result, flaky = Progress(len(tests)), []
    if options.jobs > 1:
        run_beside([t for t in tests if not wants_to_be_alone(t)], options.timeout, options.jobs, result)
        tests = [test for test in tests if wants_to_be_alone(test)]
    run_all(tests, options.timeout, result)
    few = len(result.bad) <= RETRIED_MOST
    for _ in range(options.retry):
        if not result.bad or not few:
            break
        for name in run_again(result, options.timeout):
            del result.bad[name]
            result.good += 1
            flaky.append(name)
    for name in result.bad:
        print(f"failed: {name}")
    if flaky:
        print(f"passed only when run again: {', '.join(flaky)}")
    print(f"{result.good} passed, {len(result.bad)} failed, {result.left_out} skipped")
    return 1 if result.bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
