#!/usr/bin/env python3
"""Runs test cases against a server that is there already.

    run.py MODULE[.CASE[.TEST]] ...

`TENSORGATE_GRPC` says where the server answers gRPC (`127.0.0.1:8500`, `unix:/path`),
`TENSORGATE_REST` where it answers HTTP; a case that needs more says so. Where
`TENSORGATE_TEST_RECORD` names a directory, each test is written down there with how it ended.

A test that is skipped has failed: what is claimed must have run.
"""

import os
import pathlib
import sys
import unittest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


class Result(unittest.TextTestResult):
    """Remembers every test by its name, `python::module::Case::test`."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.ended = {}

    def startTest(self, test):
        super().startTest(test)
        self.ended[name(test)] = "ok"

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.ended[name(test)] = "failed"

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.ended[name(test)] = "failed"

    def addError(self, test, err):
        super().addError(test, err)
        self.ended[name(test)] = "failed"

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.ended[name(test)] = "failed"

    def wasSuccessful(self):
        return bool(self.ended) and all(end == "ok" for end in self.ended.values())


def name(test):
    return "::".join(["python", *test.id().split(".")])


def main():
    suite = unittest.defaultTestLoader.loadTestsFromNames(sys.argv[1:])
    runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=2)
    result = runner.run(suite)
    record = os.environ.get("TENSORGATE_TEST_RECORD")
    if record:
        file = pathlib.Path(record) / f"python-{os.getpid()}.txt"
        file.write_text("".join(f"{end} {test}\n" for test, end in sorted(result.ended.items())))
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
