#!/usr/bin/env python3
"""Writes docs/benchmarks.md and docs/benchmarks.svg from bench/results/*.json: every comparison with other programs,
the losses first. `--check` writes nothing and ends with 1 where the files are not what it would write.

  bench/peers/report.py [--check]
"""

import argparse
import html
import json
import pathlib
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "bench" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
PICTURE = ROOT / "docs" / "benchmarks.svg"
NAMES = {"torch": "PyTorch", "torch-nchw": "PyTorch, channels first", "torch-compile": "PyTorch, compiled",
         "tensorflow": "TensorFlow", "tensorflow-xla": "TensorFlow, XLA"}
EVEN = 0.02  # ratios nearer to 1 than this are called even


def comparisons():
    """The newest result of each model, batch, precision, threads and processor that has a peer beside Snug."""
    newest = {}
    for path in sorted(RESULTS.glob("*.json")):
        report = json.loads(path.read_text())
        for result in report.get("results", []):
            rows = {row["program"]: row for row in result.get("programs", [])}
            if "snug" not in rows or len(rows) < 2:
                continue
            key = (report["processor"], tuple(report["extensions"]), report["threads"], result["model"],
                   result["batch"], result["precision"])
            entry = {"file": path.name, "date": report["date"], "report": report, "result": result, "rows": rows}
            if key not in newest or newest[key]["date"] < entry["date"]:
                newest[key] = entry
    return [newest[key] | {"key": key} for key in sorted(newest)]


def ratios(entry):
    """(peer, how many times faster Snug is by medians, quartiles of single rounds), the fastest peer first."""
    peers = [row for name, row in entry["rows"].items() if name != "snug" and "ratio" in row]
    return [(row["program"], row["ratio"]["by_medians"], row["ratio"]["of_rounds"])
            for row in sorted(peers, key=lambda row: row["ms"])]


def best_ratio(entry):
    return ratios(entry)[0][1] if ratios(entry) else None


def rate(row):
    value = row["images_per_second"]
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def machine(entry):
    processor, extensions, threads = entry["key"][:3]
    return f"{processor} ({', '.join(extensions)}), {threads} threads of {entry['report']['cores']} cores"


def cell(entry, name):
    row = entry["rows"].get(name)
    if row is None:
        return "–"
    bold = row["ms"] == min(other["ms"] for other in entry["rows"].values())
    return f"**{rate(row)}**" if bold else rate(row)


def memory(entry, name):
    row = entry["rows"].get(name)
    return f"{row['peak_bytes'] / 2**20:,.0f}" if row and row.get("peak_bytes") else "–"


def table(entries):
    programs = [name for name in ["snug", *NAMES] if any(name in entry["rows"] for entry in entries)]
    titles = ["Snug" if name == "snug" else NAMES[name] for name in programs]
    lines = ["| model, batch, precision | " + " | ".join(f"{title}, img/s" for title in titles)
             + " | Snug against the best other | peak MiB: " + ", ".join(titles) + " |",
             "|---|" + "---:|" * len(programs) + "---|---|"]
    for entry in entries:
        _, _, _, model, batch, precision = entry["key"]
        peer, by_medians, rounds = ratios(entry)[0]
        verdict = f"{by_medians:.2f}× {NAMES[peer]} ({rounds[0]:.2f}–{rounds[-1]:.2f})"
        lines.append(f"| {model}, {batch}, {precision} | " + " | ".join(cell(entry, name) for name in programs)
                     + f" | {verdict} | {', '.join(memory(entry, name) for name in programs)} |")
    return "\n".join(lines)


def told(entry):
    _, _, _, model, batch, precision = entry["key"]
    peer, by_medians, _ = ratios(entry)[0]
    return f"{model}, batch {batch}, {precision}: {100 * (1 - by_medians):.0f} % slower than {NAMES[peer]}"


def losses(entries):
    lost = sorted((entry for entry in entries if best_ratio(entry) < 1 - EVEN), key=best_ratio)
    even = [entry for entry in entries if abs(best_ratio(entry) - 1) <= EVEN]
    won = len(entries) - len(lost) - len(even)
    lines = [f"Of {len(entries)} comparisons Snug wins {won}, loses {len(lost)}, and {len(even)} are even "
             f"(within {100 * EVEN:.0f} %), each against the fastest of the others."]
    lines += [""] + [f"- **We lose**: {told(entry)}" for entry in lost] if lost else ["", "None of these is lost."]
    rates = {entry["key"]: entry["rows"]["snug"]["images_per_second"] for entry in entries}
    for key in rates:
        twin = (*key[:-1], "fp32")
        if key[-1] == "bf16" and twin in rates and rates[key] < (1 + EVEN) * rates[twin]:
            lines.append(f"- **bf16 gains nothing**: {key[3]}, batch {key[4]}: {rates[key]:.3g} img/s, fp32 {rates[twin]:.3g}")
    heavier = [entry for entry in entries
               if entry["rows"]["snug"]["peak_bytes"] > min(row["peak_bytes"] for row in entry["rows"].values())]
    lines += [f"- **More memory** than the least of the others: {entry['key'][3]}, {entry['key'][5]}" for entry in heavier]
    return "\n".join(lines)


def missing(entries):
    absent = {(entry["key"][3], entry["key"][5], name): why for entry in entries
              for name, why in entry["result"].get("skipped", {}).items()}
    return "".join(f"- {NAMES.get(name, name)} is missing for {model}, {precision}: {why}\n"
                   for (model, precision, name), why in sorted(absent.items()))


def noise(entries):
    shares = [row["others_share"] for entry in entries for row in entry["rows"].values() if "others_share" in row]
    return (f"Other processes took {100 * statistics.median(shares):.0f} % of the machine in the median of all turns, "
            f"{100 * max(shares):.0f} % in the worst.") if shares else ""


def lost(run):
    """The three kinds of work that are the furthest above their limits, in ms a step."""
    kinds = sorted(((kind["ms"] - kind["limit_ms"], kind["kind"]) for kind in run["kinds"]), reverse=True)
    return ", ".join(f"{name} {ms:.1f}" for ms, name in kinds[:3])


def limits():
    """Of each file of bench/limits.py: shares of what the machine can do, and where the rest of a step goes."""
    text = []
    for path in sorted(RESULTS.glob("limits-*.json")):
        report = json.loads(path.read_text())
        conditions = report["conditions"]
        text += [f"## How near to the limits: {conditions['processor']}, {report['limits'][0]['threads']} threads", "",
                 "The limit is the time of a step in which each call takes what binds it: its FLOP at the speed of the",
                 "fastest product, or its bytes at the speed of memory or caches, both measured on this machine. The",
                 "last column is where most of the difference is: ms a step above the limit, by kind of call.", "",
                 "| model, batch, precision | ms a step | of the limit | of the FLOP/s | furthest above their limits, ms |",
                 "|---|---:|---:|---:|---|"]
        text += [f"| {run['model']}, {run['batch']}, {run['precision']} | {run['ms_per_step']:,.1f} | "
                 f"{100 * run['limit_share']:.0f} % | {100 * run['flops_share']:.0f} % | {lost(run)} |"
                 for run in sorted(report["limits"], key=lambda run: (run["model"], run["precision"]))]
        text += ["", f"Measured {report['date'][:10]} by `{report['command']}` ({path.name}).", ""]
    return text


def loaders():
    """The newest result of bench/pictures.py."""
    reports = [(json.loads(path.read_text()), path.name) for path in sorted(RESULTS.glob("pictures-*.json"))]
    if not reports:
        return []
    report, name = max(reports, key=lambda one: one[0]["date"])
    text = [f"## Input, one core of {report['processor']}", "",
            "Photographs of 500 to 2,000 pixels, short side to 224, center crop; libjpeg-turbo alone decodes at the same",
            "scale and does not resize. Programs take turns; medians.", "",
            "| what | images a second |", "|---|---|"]
    text += [f"| {what} | {rate:,.0f} |" for what, rate in report["pictures_per_second"].items()]
    text += ["", ", ".join(f"{row['what']} is {row['ratio']:,.2f}× {row['of']}" for row in report["ratios"]) + ".", "",
             f"Measured {report['date'][:10]} by `{report['command']}` ({name}).", ""]
    return text


def page(entries):
    machines = {}
    for entry in entries:
        machines.setdefault(machine(entry), []).append(entry)
    text = ["# Benchmarks", "",
            "Written by `bench/peers/report.py` from `bench/results/*.json`; not edited by hand. Whole training steps",
            "(forward, loss, backward, update) of the same network, batch, precision and random data. Programs take",
            "turns on one machine: one computes while the others are stopped. Figures are medians of steps; in brackets",
            "the quartiles of the ratio of single rounds. Run it yourself: `bench/compare_cpu.sh`.", "",
            "![How many times faster Snug is than the fastest other program](benchmarks.svg)", ""]
    for name, group in machines.items():
        text += [f"## {name}", "", losses(group), "", table(group), ""]
        if absent := missing(group):
            text += [absent]
        dates = sorted({entry["date"][:10] for entry in group})
        files = sorted({entry["file"] for entry in group})
        text += [f"{noise(group)} Measured {', '.join(dates)} ({', '.join(files)}).", ""]
    text += limits() + loaders()
    seen = {name for entry in entries for name in entry["rows"]}
    never = [title for name, title in NAMES.items() if name not in seen]
    text += ["## What is not compared yet", ""]
    if never:
        text += [f"No result here is of {' or '.join(never)}: what is won above is won against the others alone.", ""]
    text += ["GPUs: no result of one is committed.", ""]
    return "\n".join(text)


def bar_color(ratio):
    return "lose" if ratio < 1 - EVEN else "even" if ratio <= 1 + EVEN else "win"


def picture(entries):
    """A bar for each comparison, from 1 to the right where Snug is faster, to the left where it is slower."""
    left, right, row_height, top = 250, 760, 24, 64
    most = max(best_ratio(entry) for entry in entries)
    least = min(0.8, *(best_ratio(entry) for entry in entries))
    scale = (right - left) / (most * 1.05 - least)
    at = lambda ratio: left + (ratio - least) * scale
    height = top + row_height * len(entries) + 44
    shapes = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {height}" width="860" height="{height}" '
              'role="img" aria-label="How many times faster Snug is than the fastest other program">',
              "<style>svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#1f2328}.soft{fill:#59636e}"
              ".grid{stroke:#d8dee4}.one{stroke:#59636e}.win{fill:#1a7f37}.even{fill:#8c959f}.lose{fill:#cf222e}"
              "@media(prefers-color-scheme:dark){svg{background:#0d1117}text{fill:#e6edf3}.soft{fill:#9198a1}"
              ".grid{stroke:#30363d}.one{stroke:#9198a1}.win{fill:#3fb950}.even{fill:#6e7681}.lose{fill:#f85149}}</style>",
              '<text x="24" y="30" font-size="17" font-weight="600">Snug against the fastest other program</text>',
              '<text class="soft" x="24" y="50">times as fast, by medians; right of the line Snug is faster</text>']
    bottom = top + row_height * len(entries)
    tick = 0.5 if most - least > 1.5 else 0.25
    value = tick * round(least / tick + 0.4999)
    while value <= most * 1.05:
        kind = "one" if abs(value - 1) < 1e-9 else "grid"
        shapes += [f'<line class="{kind}" x1="{at(value):.1f}" x2="{at(value):.1f}" y1="{top}" y2="{bottom}"/>',
                   f'<text class="soft" x="{at(value):.1f}" y="{bottom + 18}" text-anchor="middle">{value:g}×</text>']
        value += tick
    for i, entry in enumerate(entries):
        peer, ratio, _ = ratios(entry)[0]
        y = top + row_height * i
        _, _, _, model, batch, precision = entry["key"]
        x, width = min(at(1), at(ratio)), abs(at(ratio) - at(1))
        label = html.escape(f"{model}, {batch}, {precision}")
        shapes += [f'<text x="{left - 10}" y="{y + 16}" text-anchor="end">{label}</text>',
                   f'<rect class="{bar_color(ratio)}" x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="15"/>',
                   f'<text class="soft" x="{max(at(ratio), at(1)) + 6:.1f}" y="{y + 16}">{ratio:.2f}× '
                   f'{html.escape(NAMES[peer])}</text>']
    return "\n".join([*shapes, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="say whether the files are up to date")
    options = parser.parse_args()
    entries = [entry for entry in comparisons() if ratios(entry)]
    if not entries:
        sys.exit(f"{RESULTS} holds no comparison with another program")
    made = {PAGE: page(entries), PICTURE: picture(entries)}
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    if options.check:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what bench/results says: run bench/peers/report.py")
        sys.exit(1 if stale else 0)
    for path, text in made.items():
        path.write_text(text)
        print(path.relative_to(ROOT))


main()
