"""What scripts do step by step: run the program, and say what holds."""

import subprocess
import sys


def expect(condition, what):
    print(("ok   " if condition else "FAIL ") + what, flush=True)
    if not condition:
        sys.exit(1)


def runner(program, folder):
    """A function that runs the program in `folder`, which must go well, and returns what it printed."""

    def run(*words):
        line = list(map(str, words))
        done = subprocess.run([program, *line], cwd=folder, capture_output=True, text=True)
        expect(done.returncode == 0, "snug " + " ".join(line) + done.stderr)
        return done.stdout

    return run
