"""The peers' side of `snug bench model --turns`: numbers of steps come in, one a line; each is answered with JSON."""

import json
import sys
import time


def take_turns(step, **ready):
    """Runs `step` (which returns when the work is done) as often as each line of standard input says."""
    print(json.dumps({"ready": True, **ready}), flush=True)
    for line in sys.stdin:
        milliseconds = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            step()
            milliseconds.append(1e3 * (time.perf_counter() - begin))
        print(json.dumps({"ms": milliseconds}), flush=True)
