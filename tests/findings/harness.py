"""Runs the built program on real files, and does what its findings propose: pastes lines, runs commands, saves arrays.

A case makes a fault happen (files, config, options), says what must be found, and what nearly the same without the
fault looks like. The fix is taken from the finding as it is printed; `fill` stands for what only a person knows
("FILE"), `pick` for which of two proposals is taken.
"""

import dataclasses
import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile
import typing

import numpy as np

RATES = pathlib.Path(__file__).resolve().parents[1] / "cli" / "rates.txt"
SIDE, CLASSES = 12, 4
EXIT = {"C": 2, "A": 2, "F": 2, "T": 2, "D": 3, "L": 3, "M": 4, "G": 5, "N": 6, "I": 1}

DATA = """train = { images = "train-x.npy", labels = "train-y.npy" }
val = { images = "val-x.npy", labels = "val-y.npy" }
"""
CONV = '  { conv = 8, kernel = 3, padding = "same", norm = "batch", activation = "relu" },\n'
END = "  { global_avgpool = true },\n  { dense = 4 },\n"
SGD = 'optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }\n'
RUN = "epochs = 4\nbatch = 20\n"


def config(data="", layers=CONV + END, train=RUN + SGD, source=DATA, input="[12, 12, 3]", more="", model=""):
    """The sound config; `data` is added to [data], the rest replaces its part."""
    return (f"[data]\n{source}{data}[model]\ninput = {input}\n{model}layers = [\n{layers}]\n[train]\n{train}{more}")


def pictures(count, first=0, side=SIDE):
    """Learnable pictures in four classes; no two are alike."""
    rng = np.random.default_rng(1000 + first)
    x = rng.integers(20, 100, (count, side, side, 3), dtype=np.uint8)
    for i in range(count):
        number = (first + i) % CLASSES
        x[i, :, :, [0, 2] if number == 3 else number] += 130
    return x


def labels(count, first=0):
    return (first + np.arange(count)) % CLASSES


@dataclasses.dataclass
class Case:
    code: str
    name: str
    severity: str = "error"
    where: str = ""
    what: tuple = ()  # parts of it, numbers among them
    text: str = dataclasses.field(default_factory=config)
    files: typing.Callable = None  # files(folder) beside the sound splits
    words: str = ""  # further words of the command line
    command: str = "check c.toml"
    setup: str = ""  # a shell line before
    near: str = None  # the near miss: another config,
    near_files: typing.Callable = None  # or files,
    near_words: str = None  # or words
    near_command: str = None
    near_setup: str = None
    fill: dict = dataclasses.field(default_factory=dict)  # words of the fix that only a person knows
    pick: str = ""  # the part of the fix that is taken
    again: typing.Callable = None  # again(folder): what is copied, downloaded or saved anew as the fix says
    rounds: int = 3  # a fault of every split is mended in one after the other
    others: tuple = ()  # codes of other faults that are there too
    left: tuple = ()  # codes that may stay when the fix is done
    mended_command: str = None  # where the fix changes that too
    mended: str = None  # the config with the fix done, where it is a sentence
    by_hand: str = ""  # why there is nothing to be done
    exit: int = None
    limit: str = ""  # of the shell that the program is started in: "ulimit -v …"
    mounts: bool = False  # that shell may mount: it has a name space of its own
    asides: bool = False  # the finding is a remark on standard error, which --json leaves out
    cwd: str = ""  # where it is started
    environment: dict = dataclasses.field(default_factory=dict)


class Folder:
    def __init__(self, program, case):
        self.program, self.case = program, case
        self.temporary = tempfile.TemporaryDirectory(prefix="snug-finding-")
        self.path = pathlib.Path(self.temporary.name)
        self.words = shlex.split(f"{case.command} {case.words}".replace("{here}", str(self.path)))
        self.cwd = case.cwd or self.path
        self.unkempt = []  # findings of any of its runs that are too long, or say no fix

    def __enter__(self):
        for name, count, first in (("train", 240, 0), ("val", 120, 1000)):
            np.save(self.path / f"{name}-x.npy", pictures(count, first))
            np.save(self.path / f"{name}-y.npy", labels(count, first))
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def prepare(self, text, files, setup):
        if files:
            files(self.path)
        (self.path / "c.toml").write_text(text)
        if setup:
            self.shell(setup)

    def shell(self, line):
        environment = self.environment()
        environment["PATH"] = f"{pathlib.Path(self.program).resolve().parent}:{environment['PATH']}"
        done = subprocess.run(["bash", "-c", line], cwd=self.path, env=environment, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        return done

    def environment(self):
        # Rates that were measured before: half a second for every case would be most of its time.
        own = {"XDG_CACHE_HOME": str(self.path / ".cache"), "SNUG_CPU_RATES": str(RATES)}
        build = str(pathlib.Path(self.program).resolve().parents[1])
        return os.environ | own | {k: v.replace("{build}", build) for k, v in self.case.environment.items()}

    def run(self):
        """Exit code and findings."""
        words = [self.program, *self.words] + ([] if self.case.asides else ["--json"])
        if self.case.limit:
            words = ["bash", "-c", f'{self.case.limit} && exec "$@"', "bash", *words]
        if self.case.mounts:
            words = ["unshare", "--user", "--map-root-user", "--mount", *words]
        done = subprocess.run(words, cwd=self.cwd, env=self.environment(), capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        found = told_in(done.stderr) if self.case.asides else []
        for line in done.stdout.splitlines():
            if not line.startswith("{"):
                continue
            value = json.loads(line)
            found += value.get("findings", [value] if value.get("event") == "finding" else [])
        self.unkempt += [f"{len(f['what'])} characters: {f['what']}" for f in found if not 0 < len(f["what"]) <= 160]
        self.unkempt += [f"{f['code']} has no fix" for f in found if not f["fix"].strip()]
        return done.returncode, found, done


def told_in(text):
    """Findings as people read them."""
    pattern = r"^(note|warning|error) ([A-Z]\d{3})(?: at (.*))?\n  (.*)\n  fix: (.*)$"
    keys = ("severity", "code", "where", "what", "fix")
    return [dict(zip(keys, match.groups(""))) for match in re.finditer(pattern, text, re.M)]


def may_mount():
    """Containers often forbid name spaces."""
    probe = ["unshare", "--user", "--map-root-user", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


# ---- what a fix says, done ----------------------------------------------------------------------------------------

def parts_of(fix):
    """The line itself and its remark."""
    line, *note = re.split(r"\s{2,}#", fix, maxsplit=1)
    return line.strip(), note[0].strip() if note else ""


def place_of(where):
    match = re.search(r"\.toml:(\d+):(\d+)", where)
    return (int(match[1]), int(match[2])) if match else None


def enclosing(text, at):
    """Begin and end of the innermost { } around a place; None outside of any."""
    depth, begin = 0, None
    for i in range(at, -1, -1):
        if text[i] == "}" and i != at:
            depth += 1
        elif text[i] == "{":
            if depth == 0:
                begin = i
                break
            depth -= 1
    if begin is None:
        return None
    depth = 0
    for i in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return (begin, i + 1) if i + 1 > at else None
    return None


def end_of_value(text, at):
    depth, quoted = 0, False
    while at < len(text):
        c = text[at]
        if c == '"':
            quoted = not quoted
        elif not quoted:
            if depth == 0 and c in ",}]#\n":
                break
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(c, 0)
        at += 1
    return len(text[:at].rstrip())


def replaced(text, begin, end, key, assignment):
    """text with the value of `key` between two places replaced; None where it is not there."""
    depth = 0
    for match in re.finditer(r"[{}]|(?<![\w.\"])" + re.escape(key) + r"\s*=", text[begin:end]):
        if match[0] in "{}":
            depth += 1 if match[0] == "{" else -1
            continue
        if depth > 1:
            continue
        start = begin + match.start()
        return text[:start] + assignment + text[end_of_value(text, begin + match.end()):]
    return None


def table_span(text, table):
    header = re.search(rf"^\[{re.escape(table)}\] *\n", text, re.M)
    if not header:
        return None
    after = re.search(r"^\[[\w.]+\] *$", text[header.end():], re.M)
    return header.end(), header.end() + after.start() if after else len(text)


def in_table(text, table, assignment):
    key = assignment.split("=")[0].strip()
    span = table_span(text, table)
    if span is None:
        return text + f"[{table}]\n{assignment}\n"
    for match in re.finditer(rf"^{re.escape(key)}\s*=", text[span[0]:span[1]], re.M):
        start = span[0] + match.start()
        return text[:start] + assignment + text[end_of_value(text, span[0] + match.end()):]
    return text[:span[0]] + assignment + "\n" + text[span[0]:]


def without(text, span):
    """A list without the entry at a span."""
    begin, end = span
    rest = re.match(r"\s*,?[ ]*", text[end:])
    if rest[0].strip() == "":  # the last of its list: the comma before it goes
        begin = len(text[:begin].rstrip().rstrip(","))
    return text[:begin] + text[end + rest.end():]


def paste(text, where, fix):
    """A line of TOML, put where a person would put it."""
    line, note = parts_of(fix)
    place = place_of(where)
    at = sum(len(l) + 1 for l in text.split("\n")[:place[0] - 1]) + place[1] - 1 if place else None
    inline = re.search(r"in \[train\.(\w+)\]", note)
    if inline and re.search(rf"^{inline[1]} = \{{", text, re.M):
        begin = re.search(rf"^{inline[1]} = \{{", text, re.M).end() - 1
        return replaced(text, *enclosing(text, begin + 1), line.split("=")[0].split(",")[0].strip(), line.split(", or ")[0])
    instead = re.match(r"instead of (sigmoid|tanh)", note)
    if instead:
        return text.replace(f'activation = "{instead[1]}"', line)
    named = re.search(r"in \[?(data|model|train|memory)\]?(?![\w.])", note)
    if "instead of val" in note:
        text = re.sub(r"^val = .*\n", "", text, flags=re.M)
    table = "data"
    if place:
        for header in re.finditer(r"^\[([\w.]+)\] *$", text[:text.find("\n", at)], re.M):
            table = header[1]
    span = enclosing(text, at) if place else None
    if line.startswith("leave out"):
        key = re.search(r"leave out (\w+) =|leave out the (activation) of|leave out (\w+)(?:,|$)", line)
        name = key and next(k for k in key.groups() if k)
        if name and span and re.search(rf"\b{name}\s*=", text[span[0]:span[1]]):
            inner = re.sub(rf",\s*{name}\s*=\s*(\"[^\"]*\"|[^,}}]*)", "", text[span[0]:span[1]])
            if inner != text[span[0]:span[1]]:
                return text[:span[0]] + inner.rstrip(" }") + " }" + text[span[1]:]
        if span:
            return without(text, span)
        lines = text.split("\n")
        del lines[place[0] - 1]
        return "\n".join(lines)
    if line.startswith("{"):
        line = line.rstrip(",")
        if "instead of flatten" in note:
            return text.replace("{ flatten = true }", line)
        if span is None:  # in the data: the class layer is meant
            span = enclosing(text, text.rindex("{ dense") + 1)
        if "before" in note:
            return text[:span[0]] + line + ",\n  " + text[span[0]:]
        if "behind" in note or "after" in note:
            return text[:span[1]] + ",\n  " + line + text[span[1]:]
        if line.startswith("{ activation") and span is None:
            span = enclosing(text, at)
        return text[:span[0]] + line + text[span[1]:]
    if re.match(r"\[[\w.]+\]$", line):  # a header
        lines = text.split("\n")
        lines[place[0] - 1] = line
        return "\n".join(lines)
    for assignment in line.split("\n"):
        dotted = re.match(r"(data|model|train|memory)\.([\w.]+)\s*=", assignment)
        if dotted:
            text = in_table(text, dotted[1], assignment[len(dotted[1]) + 1:])
            continue
        key = assignment.split("=")[0].strip()
        source = source_of(text, where) if key in SOURCE_KEYS else None
        if source:
            for one in re.split(r",\s*(?=\w+ =)", assignment):
                source = enclosing(text, source[0] + 1)
                text = replaced(text, *source, one.split("=")[0].strip(), one) or with_key(text, source, one)
            continue
        if named:
            text = in_table(text, named[1], assignment)
            continue
        done, outer = None, span
        while outer and done is None:
            done = replaced(text, *outer, key, assignment)
            outer = enclosing(text, outer[0] - 1) if outer[0] else None
        line_begin = text.rfind("\n", 0, at) + 1 if place else 0
        if done is None and place and re.match(rf"{re.escape(key)}\s*=", text[line_begin:]):
            done = text[:line_begin] + assignment + text[end_of_value(text, text.index("=", line_begin) + 1):]
        if done is None and place:  # a key that is misspelt stands right at the place
            word = re.match(r"[\w-]+", text[at:])
            if word and word[0] != key and text[at + word.end():].lstrip().startswith("=") and "mean" not in key \
                    and similar(word[0], key):
                done = text[:at] + assignment + text[end_of_value(text, text.index("=", at) + 1):]
        if done is None and not place:  # of the config: where that key stands
            for match in re.finditer(rf"^{re.escape(key)}\s*=", text, re.M):
                done = text[:match.start()] + assignment + text[end_of_value(text, match.end()):]
        if done is None and span and table == "model":
            done = text[:span[1] - 1].rstrip() + f", {assignment} " + text[span[1] - 1:]
        text = done if done is not None else in_table(text, table, assignment)
    return text


SOURCE_KEYS = ("images", "labels", "folder", "csv", "files", "pack", "count", "synthetic", "format")


def source_of(text, where):
    """The source that a finding is about: that which names its file, or stands at its place."""
    place = place_of(where)
    if place:
        at = sum(len(l) + 1 for l in text.split("\n")[:place[0] - 1]) + place[1] - 1
        return enclosing(text, at) or enclosing(text, text.index("{", at) + 1)
    name = pathlib.Path(re.sub(r"\[\d+\]$", "", where)).name.split(":")[0]
    at = text.find(name)
    return enclosing(text, at) if name and at >= 0 else None


def with_key(text, span, assignment):
    return text[:span[1] - 1].rstrip() + f", {assignment} " + text[span[1] - 1:]


def similar(a, b):
    return sum(x in b for x in a) >= len(a) / 2


class Arrays:
    """numpy, whose `save` writes to the files that a finding is about."""

    def __init__(self, folder, where):
        self.folder = folder
        split = next((s for s in ("val", "test") if f"{s}-" in where), "train")
        self.files = {"x.npy": folder / f"{split}-x.npy", "y.npy": folder / f"{split}-y.npy"}
        self.values = {"np": self, "x": self.load("x.npy"), "y": self.load("y.npy")}
        if split != "train":
            self.values |= {"x_val": self.values["x"], "y_val": self.values["y"],
                            "x": np.load(folder / "train-x.npy") if "x_val" in self.wanted else self.values["x"]}

    wanted = ""

    def __getattr__(self, name):
        return getattr(np, name)

    def load(self, name):
        try:
            return np.load(self.files[name], allow_pickle=True)
        except (ValueError, OSError):
            return None

    def save(self, name, value):
        np.save(self.files.get(pathlib.Path(name).name, self.folder / name), value)

    def load_named(self, name):
        return np.load(self.folder / name)

    def do(self, line, note):
        exec(line, self.values)  # pylint: disable=exec-used
        then = re.findall(r"(x|y|x_val|y_val)\[(\w+)\]", note)
        for name, index in then:
            self.save(name[0] + ".npy", self.values[name][self.values[index]])


def apply(folder, finding, case):
    """Does what a fix says; returns how."""
    fix = finding["fix"]
    if case.pick:
        assert case.pick in fix, f"no {case.pick!r} in {fix!r}"
        fix = case.pick
    for word, value in case.fill.items():
        assert word in fix, f"no {word!r} in {fix!r}"
        fix = fix.replace(word, value)
    line, note = parts_of(fix)
    if case.mended is not None:
        (folder.path / "c.toml").write_text(case.mended)
        if case.mended_command:
            folder.words = shlex.split(case.mended_command)
        return "as it says"
    if line.startswith("--"):
        words = shlex.split(line)
        key = words[1].split("=")[0] if words[0] == "--set" and len(words) > 1 else None
        if key:
            folder.words = drop_set(folder.words, key)
        elif words[0] in folder.words:
            at = folder.words.index(words[0])
            del folder.words[at:at + len(words)]
        elif (wrong := [w for w in folder.words if w.startswith("--") and w in finding["where"]]):
            at = folder.words.index(wrong[0])
            del folder.words[at:at + len(words)]
        folder.words += words
        return "option"
    mean = re.match(r"did you mean (?:snug )?((\S+))\?", line)
    if mean:
        if line.startswith("did you mean snug "):
            folder.words[0] = mean[2]
        elif mean[1].startswith("--"):
            folder.words = [mean[1] if w in finding["where"] and w.startswith("--") else w for w in folder.words]
        else:
            folder.words = [mean[1] if w in finding["where"] else w for w in folder.words]
        return "name"
    if re.match(r"(rm|sed|mkdir|cp|mv|chmod|gunzip|snug|SNUG_\w+=|head|printf|for|find|file|gzip|zip|tar|rmdir|unzip|python3|ls)\b|d=", line):
        done = folder.shell(line)
        assert done.returncode == 0 or case.again, f"{line}: {done.stderr}{done.stdout}"
        if case.again:
            case.again(folder.path)
        folder.cwd = folder.path
        if case.mended_command:
            folder.words = shlex.split(case.mended_command)
        return "shell"
    if "np." in line or "then x" in note:
        splits = ("train", "val") if "in every split" in note else (finding["where"],)
        for where in splits:
            Arrays.wanted = line
            Arrays(folder.path, where + "-" if where in ("train", "val") else where).do(line, note)
        return "numpy"
    path = folder.path / "c.toml"
    text = path.read_text()
    changed = paste(text, finding["where"], fix)
    assert changed != text, f"{fix!r} changes nothing"
    path.write_text(changed)
    return "paste"


def drop_set(words, key):
    kept, skip = [], False
    for word, after in zip(words, words[1:] + [""]):
        if skip:
            skip = False
        elif word == "--set" and after.split("=")[0] == key:
            skip = True
        else:
            kept.append(word)
    return kept


# ---- a case -------------------------------------------------------------------------------------------------------

def faults(found):
    return [f for f in found if f["severity"] != "note"]


def order(where):
    """File, line and column, or record."""
    match = re.match(r"(.*?)(?::(\d+):(\d+)|\[(\d+)\])?$", where)
    return match[1].encode(), int(match[2] or match[4] or 0), int(match[3] or 0)


def show(found):
    return "\n".join(f"    {f['severity']} {f['code']} at {f['where']}: {f['what']}\n      fix: {f['fix']}" for f in found)


def check_case(program, case):
    """What is wrong with it, and how its fix was applied."""
    wrong = []

    def expect(condition, text):
        if not condition:
            wrong.append(text)

    how = "by hand"
    with Folder(program, case) as folder:
        folder.prepare(case.text, case.files, case.setup)
        code, found, done = folder.run()
        mine = [f for f in found if f["code"] == case.code]
        expect(mine, f"not found (exit code {code}):\n{show(found)}\n{done.stderr[-600:]}")
        if mine:
            first = mine[0]
            expect(first["severity"] == case.severity, f"it is a {first['severity']}")
            expect(case.where in first["where"], f"it stands at {first['where']}")
            for part in case.what:
                expect(part in first["what"], f"no {part!r} in {first['what']!r}")
            if case.command.startswith("check"):
                expect([f["where"] for f in found] == sorted((f["where"] for f in found), key=order),
                       f"not ordered by place:\n{show(found)}")
            seen = [f["code"] for f in faults(found)]
            due = ([case.code] if case.severity != "note" else []) + list(case.others)
            expect(sorted(seen) == sorted(due), f"one cause, one finding:\n{show(found)}")
            least = case.exit
            if least is None:
                least = min((EXIT[f["code"][0]] for f in found if f["severity"] == "error"), default=0)
            expect(code == least, f"exit code {code} for {least}")
            if case.severity == "warning" and case.command.startswith("check"):
                folder.words.append("--strict")
                strict_code, strict, _ = folder.run()
                folder.words.remove("--strict")
                least = min((EXIT[f["code"][0]] for f in strict if f["severity"] == "error"), default=0)
                expect(strict_code == least and not any(f["severity"] == "warning" for f in strict),
                       f"--strict: exit code {strict_code}:\n{show(strict)}")
            if not case.by_hand:
                try:
                    for _ in range(case.rounds):
                        mine = [f for f in found if f["code"] == case.code]
                        if not mine:
                            break
                        how = apply(folder, mine[0], case)
                        code, found, done = folder.run()
                    rest = [f for f in faults(found) if f["code"] not in case.left and f["code"] not in case.others]
                    gone = not any(f["code"] == case.code for f in found)
                    changed = (folder.path / "c.toml").read_text()
                    expect(gone and not rest and (code == 0 or case.others or case.left),
                           f"after the fix ({how}), exit code {code}:\n{show(found)}\n{changed}\n{done.stderr[-600:]}")
                except Exception as error:  # a fix that cannot be done
                    expect(False, f"the fix {mine[0]['fix']!r} cannot be applied: {error!r}")
        wrong += folder.unkempt
    near = near_miss_of(case)
    if near:
        with Folder(program, near) as folder:
            folder.prepare(near.text, near.files, near.setup)
            code, found, done = folder.run()
            expect(not faults(found) and not any(f["code"] == case.code for f in found) and code == 0,
                   f"the near miss is told (exit code {code}):\n{show(found)}\n{done.stderr[-600:]}")
        wrong += folder.unkempt
    return wrong, how


def near_miss_of(case):
    """The case's near miss as a case; None where it has none."""
    parts = (case.near, case.near_files, case.near_words, case.near_command, case.near_setup)
    if all(part is None for part in parts):
        return None
    return dataclasses.replace(case, text=config() if case.near is None else case.near, files=case.near_files,
                               words=case.near_words or "", command=case.near_command or case.command,
                               setup=case.near_setup or "", limit="", cwd="", mounts=False)
