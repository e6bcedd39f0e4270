"""Every code of the catalogue made to happen by the program as users have it: found, its fix done, its near miss silent.

  python3 tests/findings/run.py PROGRAM [--family DL] [--only WORD]
  python3 tests/findings/run.py --coverage       which codes have a case, and where the others are tested
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import sys

SYSTEM = "/usr/bin/python3"
try:
    import numpy  # noqa: F401  pylint: disable=unused-import
except ImportError:
    if sys.executable != SYSTEM and os.path.exists(SYSTEM) and "SNUG_NO_NUMPY" not in os.environ:
        os.environ["SNUG_NO_NUMPY"] = "1"  # another interpreter comes first on the path; the system's has its packages
        os.execv(SYSTEM, [SYSTEM, *sys.argv])
    print("skipped: numpy is not installed (scripts/setup.sh --tests)")
    sys.exit(77)

import cases_commands
import cases_config
import cases_data
import cases_runs
import harness

ROOT = pathlib.Path(__file__).resolve().parents[2]
CASES = cases_data.CASES + cases_config.CASES + cases_commands.CASES + cases_runs.CASES

# Codes without a case, and why; "tests/…": the file that makes them happen in another way.
ELSEWHERE = {
    "D115": "tests/data/statistics_test.cpp",
    "D152": "tests/train/watch_test.cpp", "D201": "tests/check/data_test.cpp", "D202": "tests/check/data_test.cpp",
    "D203": "tests/check/data_test.cpp", "L123": "tests/data/loader_test.cpp", "L124": "tests/data/open_test.cpp",
    "A910": "tests/cuda/cuda_planner_test.cpp", "M613": "tests/cli/devices_test.cpp",
    "T207": "tests/check/measured_test.cpp", "T623": "tests/train/state_test.cpp", "T631": "tests/cli/bench_test.cpp",
    "A112": "the config's own ranges (A004) are narrower; a program that builds a Config by hand meets it",
    "A490": "the graph tells it first (A101); for programs that lower by hand",
    "M617": "as M301, of eval and predict", "M618": "tests/emulated/training_test.cpp",
    "T632": "fp16 computes on GPUs alone: tests/emulated/scaled_loss_test.cpp",
    "D151": "how long steps wait depends on the machine's load: no test asserts a time",
    "M301": "another process must take memory between plan and start",
    "M302": "as M301: the system must refuse what is free", "M303": "needs a GPU", "M304": "needs a GPU",
    "M901": "a disk that fills up while another file than a run's is written, in a moment that no test can choose",
    "M902": "an allocation that fails: kept for what no plan counts",
    "N602": "the validation loss alone must overflow: rounding decides",
    "T614": "check tells T108 first; for programs that train by hand",
    "T616": "needs a processor without AVX-512",
    "C611": "reading the config tells C008 first; for programs that build a Config by hand",
    "C937": "weights of 2 GiB and more: as large on the disk as a test may not write",
    "G490": "needs a processor without SSE4.2, which no x86-64 of the last 15 years is",
    "G902": "tests/cuda/cuda_device_test.cpp", "G904": "tests/cuda/cuda_device_test.cpp",
    "G906": "a GPU whose driver answers to its list and fails then: needs a GPU and a build for it",
    "G907": "of builds for GPUs, where cuDNN is missing", "G910": "of builds with a cuDNN that is too old to plan",
    "G921": "a step that a GPU refuses: needs a GPU", "G922": "a fault that a GPU tells behind its step: needs a GPU",
    "G923": "another version of cuDNN than the plan was made with: needs a GPU",
    "I101": "of the reference backend, which the tests use and the program never does",
    "I401": "tests/ops/cpu_backend_test.cpp", "I402": "an answer of oneDNN that it never gave",
    "I901": "whatever no code foresees: a test could only throw it itself",
}


def catalogue():
    return re.findall(r"^\| ([A-Z]\d{3}) \| (\w+)", (ROOT / "docs/findings.md").read_text(), re.M)


def uncovered():
    """Codes of the catalogue which nothing makes happen, and what is listed needlessly."""
    mine = {case.code for case in CASES}
    wrong = [f"{case.code} is no code of the catalogue" for case in CASES if case.code not in dict(catalogue())]
    for code, _ in catalogue():
        where = ELSEWHERE.get(code, "")
        if code in mine:
            if where:
                wrong.append(f"{code} has a case: its reason in ELSEWHERE is needless")
            continue
        if not where:
            wrong.append(f"{code} has no case in tests/findings")
        elif where.startswith("tests/") and code not in (ROOT / where).read_text():
            wrong.append(f"{code} is not in {where}")
    return wrong


def print_coverage():
    by_code = {}
    for case in CASES:
        by_code.setdefault(case.code, []).append(case)
    count = {}
    for code, severity in catalogue():
        cases = by_code.get(code, [])
        fix = "done" if any(not c.by_hand for c in cases) else cases[0].by_hand if cases else ""
        near = any(harness.near_miss_of(c) for c in cases)
        for key, value in (("codes", 1), ("happens", bool(cases)), ("fix done", fix == "done"), ("near miss", near)):
            count.setdefault(code[0], {}).setdefault(key, 0)
            count[code[0]][key] += value
        where = ", ".join(c.name for c in cases) if cases else ELSEWHERE.get(code, "tests/cli and others")
        print(f"{code}  {severity:7}  fix: {fix or '–':12.12}  near miss: {'yes' if near else '–':3}  {where}")
    for family, numbers in count.items():
        print(family, numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=pathlib.Path, nargs="?")
    parser.add_argument("--family", default="")
    parser.add_argument("--only", default="")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--jobs", type=int, default=min(4, os.cpu_count() or 1))
    options = parser.parse_args()
    if options.coverage:
        print_coverage()
    wrong = uncovered()
    for text in wrong:
        print(f"FAILED {text}")
    if options.coverage or not options.program:
        sys.exit(bool(wrong))
    cases = [c for c in CASES if (not options.family or c.code[0] in options.family)
             and options.only in f"{c.code} {c.name}"]
    if any(c.mounts for c in cases) and not harness.may_mount():
        for case in (c for c in cases if c.mounts):
            print(f"skipped: {case.code} {case.name}: this machine lets nobody mount in a name space")
        cases = [c for c in cases if not c.mounts]
    program = str(options.program.resolve())
    failed, ways, near = len(wrong), {}, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for case, (found, how) in zip(cases, pool.map(lambda c: harness.check_case(program, c), cases)):
            ways[how] = ways.get(how, 0) + 1
            near += harness.near_miss_of(case) is not None
            failed += bool(found)
            for text in found:
                print(f"FAILED {case.code} {case.name}: {text}", flush=True)
    print(f"{len(cases)} cases of {len({c.code for c in cases})} codes, {near} near misses, {failed} failed; fixes: "
          + ", ".join(f"{count} {how}" for how, count in sorted(ways.items())))
    sys.exit(failed > 0)


main()
