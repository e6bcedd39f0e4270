"""C: what a command line can get wrong."""

import pathlib

import numpy as np

from cases_data import FLOATS, V, X, both, folders, photos, raw, save
from harness import CONV, END, RUN, SGD, Case, config


def line(code, name, command, near=None, setup="", **more):
    return Case(code, name, command=command, near_command=near, setup=setup,
                **{"near_setup": setup if near else None} | more)


ONE = "snug train c.toml --out run --max-steps 2 --quiet"
TRAINED = {"setup": ONE}
CASES = [
    line("C001", "a config that is not there", "check d.toml", near="check c.toml", what=("d.toml",)),
    line("C014", "a value within a number", "check c.toml --set train.epochs.x=1", where="--set",
         by_hand="which key is meant"),
    Case(
        "C015", "a model file that holds more", where="m.toml",
        text=config().replace("input = [12, 12, 3]\nlayers = [\n",
                              'file = "m.toml"\n').replace(config().split("layers = [\n")[1].split("[train]")[0],
                                                           ""), setup=
        "printf '[model]\\ninput = [12, 12, 3]\\nlayers = [ { global_avgpool = true }, { dense = 4 } ]\\n[train]\\nepochs = 3\\n' > m.toml",
        by_hand="the lines move to the config"),
    Case("C016", "a name that is no folder's", where="c.toml:1:", text='name = "a/b"\n' + config(),
         fill={"mnist": "net"}, near='name = "a-b"\n' + config()),
    Case(
        "C012", "a turn that names none", where="c.toml:7:", text=config(
            layers=
            '  { repeat = 2, turn = "block", block = [ { conv = 8, kernel = 1, activation = "relu" } ] },\n  { global_avgpool = true },\n  { dense = 4 },\n'
        ), near=config(
            layers=
            '  { repeat = 2, turn = "block{}", block = [ { conv = 8, kernel = 1, activation = "relu" } ] },\n  { global_avgpool = true },\n  { dense = 4 },\n'
        )),
    line("C601", "a checkpoint that is not there", "eval gone", by_hand="a path"),
    line("C603", "a run that has saved none", "eval empty", setup="mkdir empty; cp c.toml empty/config.toml",
         by_hand="a run"),
    line("C604", "a folder that is there", "train c.toml --out run --quiet",
         by_hand="to go on with it, or a new folder", near="train c.toml --out new --quiet", **TRAINED),
    line("C606", "nothing to go on with", "train c.toml --resume --out new --quiet", severity="note",
         near="train c.toml --resume --out run --quiet", by_hand="it began anew", **TRAINED),
    line("C613", "a split that the config lacks", "eval run --split test", by_hand="a split is chosen",
         near="eval run --split val", **TRAINED),
    line("C901", "an option mistyped", "check c.toml --epoch 3", where="--epoch"),
    line("C902", "a flag with a value", "check c.toml --full=yes", where="--full", by_hand="the flag alone"),
    line("C903", "an option twice", "check c.toml --epochs 3 --epochs 4", where="--epochs",
         by_hand="which of them is meant"),
    line("C904", "a word for a number", "check c.toml --threads two", where="--threads"),
    line("C905", "--set without a value", "check c.toml --set train.epochs", where="--set"),
    line("C906", "a command mistyped", "chek c.toml", what=("chek",)),
    line("C908", "two configs", "check c.toml d.toml", where="d.toml", by_hand="the finding is the command"),
    line("C911", "a program as JSON", "summary c.toml --program", by_hand="one of the two"),
    line("C912", "a split that is none", "eval run --split dev", near="eval run --split val", **TRAINED),
    line("C913", "a config for a checkpoint", "eval c.toml", by_hand="the run's name"),
    line("C915", "no --out", "data synth", where="", by_hand="any new folder"),
    line("C920", "a run that is none", "runs show gone", by_hand="a run's name"),
    line("C931", "a format that is none", "export run --to tflite --out n.tflite",
         near="export run --to onnx --out n.onnx", **TRAINED),
    line("C933", "an export to nowhere", "export run --to onnx", near="export run --to onnx --out m.onnx", **TRAINED),
    line("C934", "an export onto a file", "export run --to onnx --out n.onnx", near="export run --to onnx --out m.onnx",
         setup=ONE + "; touch n.onnx", by_hand="any new name"),
    line("C910", "a device mistyped", "plan c.toml --device rtx409", where="--device",
         near="plan c.toml --device rtx4090"),
    line("C909", "a report that cannot be written", "plan c.toml --report /nowhere/y.html", where="",
         near="plan c.toml --report y.html"),
    line("G903", "a GPU that is not here", "train c.toml --device h200", where="--device",
         near="plan c.toml --device h200"),
    line("G901", "a GPU for a build that has none", "train c.toml --device cuda", where="--device",
         near="train c.toml --device cpu --quiet"),
]
RUN = "snug train c.toml --out run --epochs 1 --quiet"
CASES += [
    line("D601", "weights cut short", "eval run/cut.safetensors --config c.toml",
         near="eval run/last.safetensors --config c.toml",
         setup=RUN + "; head -c 600 run/last.safetensors > run/cut.safetensors", by_hand="the run's other file"),
    line("D613", "floats for a network of bytes", "predict run floats.npy", near="predict run val-x.npy", setup=RUN,
         files=both(save(floats=(V[:4] / 255).astype("float32"))), by_hand="images as they were saved"),
    line("D614", "a text for a picture", "predict run notes.txt", near="predict run val-x.npy",
         setup=RUN + "; echo hello > notes.txt", by_hand="a picture"),
]

PROFILE = (pathlib.Path(__file__).resolve().parents[2] / "configs/devices/rtx4090.toml").read_text()
PROBLEM = "id,lower,upper,size\n0,0,3,64\n1,1,4,64\n"
META = """
import json, struct, sys
source, target, key, value = sys.argv[1:]
data = open(source, "rb").read()
size = struct.unpack("<Q", data[:8])[0]
head = json.loads(data[8:8 + size])
head["__metadata__"][key] = value
text = json.dumps(head, separators=(",", ":")).encode()
text += b" " * (-len(text) % 8)
open(target, "wb").write(struct.pack("<Q", len(text)) + text + data[8 + size:])
"""


def written(**files):
    """files(folder): c_toml is c.toml."""
    return both(*(raw(name.replace("_", "."), text.encode()) for name, text in files.items()))


def profile(code, name, old, new, what):
    """A profile of a GPU with a fault."""
    return Case(code, name, command="plan c.toml --device my.toml", where="my.toml", what=what,
                files=written(my_toml=PROFILE.replace(old, new)), by_hand="the numbers of a GPU",
                near_files=written(my_toml=PROFILE), near=config(), near_command="plan c.toml --device my.toml")


def changed(code, name, key, value, what, **more):
    """A checkpoint whose metadata were changed."""
    return line(code, name, "eval changed.safetensors", where="changed.safetensors", what=what,
                near="eval run/last.safetensors", files=written(meta_py=META), near_files=written(meta_py=META),
                setup=f"{RUN}; /usr/bin/env python3 meta.py run/last.safetensors changed.safetensors {key} '{value}'",
                **more)


def aside(code, name, command, near, setup="", **more):
    """What is told beside the result, on standard error."""
    return line(code, name, command, near=near, setup=setup, asides=True, **more)


def spoilt(code, name, near):
    return aside(code, f"a {name} that was edited", "runs show run", "runs show run", RUN + f"; echo '[' > run/{name}",
                 severity="warning", where=f"run/{name}", near_setup=RUN)


FULL = "mkdir -p disk && mount -t tmpfs -o size={} none disk"
STOPPED = "snug train c.toml --out run --max-steps 5 --quiet"
CASES += [
    changed("D603", "metadata of a later version", "snug.format", "99", ("99", "this version reads 1"),
            by_hand="the version that wrote it"),
    changed("D603", "metadata without classes and scaling", "snug.info", "{}", ("snug.info",), mended=config(),
            mended_command="eval run"),
    changed("D605", "a config that is none", "snug.config", "x = = 1", ("cannot be read",), mended=config(),
            mended_command="eval changed.safetensors --config c.toml"),
    line("D604", "a state that was changed", "train c.toml --resume --out run --quiet", where="run/last.state",
         what=("checksum",), near="train c.toml --resume --out run --quiet", near_setup=STOPPED,
         files=written(meta_py=META), mended_command="eval run-again",
         setup=f"{STOPPED}; python3 meta.py run/last.state s snug.state '{{}}'; mv s run/last.state"),
    spoilt("D615", "evaluation.json", RUN), spoilt("D616", "run.json", RUN), spoilt("D617", "plan.json", RUN),
    aside("D901", "a plan where the data do not lie", "plan c.toml --data-root there", "plan c.toml",
          "mkdir there", severity="note", where="c.toml:1:1", what=("without the data",),
          by_hand="where the data are"),
    aside("D902", "a batch looked for without data", "tune c.toml --data-root there --max-batch 2 --time-limit 5",
          "tune c.toml --max-batch 2 --time-limit 5", "mkdir there", severity="note", where="c.toml:1:1",
          what=("random images",), by_hand="where the data are"),
    Case("C190", "an HDF5 file", where="c.toml:2:", files=written(x_h5="x", y_h5="y"), what=("x.h5", ".npy"),
         text=config(source='train = { images = "x.h5", labels = "y.h5" }\n'), others=("C190",),
         by_hand="the arrays, saved by numpy", near=config()),
    line("C191", "a folder that cannot be made", "data synth --out /proc/shapes --count 20", where="--out",
         near="data synth --out shapes --count 20"),
    line("C602", "weights into a folder that takes none",
         "export run --to safetensors --out /proc/n.safetensors", where="/proc", setup=RUN,
         near="export run --to safetensors --out n.safetensors", by_hand="any folder that can be written"),
    line("C605", "a folder in which another process trains", "train c.toml --resume --out run --quiet", where="run",
         setup=STOPPED + "; flock run sleep 20 > /dev/null 2>&1 & until [ -e run/last.state ] && ! flock -n run true; "
         "do sleep 0.1; done", near="train c.toml --resume --out run --quiet", near_setup=STOPPED,
         mended=config(), mended_command="train c.toml --out other --quiet"),
    line("C607", "a report that cannot be written", "train c.toml --resume --out run --quiet", severity="note",
         where="run", near="train c.toml --resume --out run --quiet", near_setup=STOPPED,
         setup=STOPPED + "; rm run/report.html; mkdir -p run/report.html/x", by_hand="the folder in its place"),
    line("C914", "a solution onto its problem", "plan --problem a.csv --out a.csv", where="--out",
         files=written(a_csv=PROBLEM), near_files=written(a_csv=PROBLEM), near="plan --problem a.csv --out b.csv"),
    line("C916", "pictures into a folder that holds some", "data synth --out full --count 20", where="--out",
         setup="mkdir full; touch full/x", near="data synth --out empty --count 20"),
    Case("C917", "a pack of what is not kept", command="data pack c.toml --out pack --keep all", where="--keep",
         text=photos(), files=folders, near_files=folders, near=photos(),
         near_command="data pack c.toml --out pack --keep pixels"),
    line("C918", "a conversion to what is not written", "data convert train b --to xyz", where="--to xyz",
         files=folders, near_files=folders, near="data convert train b --to npy"),
    aside("C919", "no mistake to show", "eval run --mistakes m.png", "eval run --mistakes m.png",
          "snug train c.toml --out run --epochs 4 --quiet", severity="note", where="--mistakes",
          near_setup="snug train c.toml --out run --max-steps 1 --quiet", by_hand="there is nothing to be done"),
    line("C921", "a profile that is not there", "plan c.toml --device my.toml", where="my.toml",
         near="plan c.toml --device h200", by_hand="one of those that it lists"),
    profile("C922", "a key of a profile mistyped", "multiprocessors", "multiprocesors", ("multiprocesors",)),
    profile("C923", "a word for a number in a profile", "value = 128,", 'value = "many",', ("multiprocessors",)),
    profile("C924", "a profile that lacks a number", "l2_bytes = ", "# l2_bytes = ", ("l2_bytes",)),
    profile("C925", "a profile of more than there is", "usable = { value = 25_", "usable = { value = 95_", ("usable",)),
    aside("C926", "more pictures than a sheet holds", "predict run val-x.npy --sheet s.png",
          "predict run few.npy --sheet s.png", RUN, severity="note", where="--sheet", what=("of 120 pictures",),
          near_files=save(few=V[:4]), near_setup=RUN, by_hand="the table has all of them"),
    line("C932", "norms folded into a state dict", "export run --to safetensors --fold-norms --out n.safetensors",
         where="--fold-norms", setup=RUN, near="export run --to onnx --fold-norms --out n.onnx", mended=config(),
         mended_command="export run --to onnx --fold-norms --out n.onnx"),
    line("M602", "a disk that fills up", "train c.toml --out disk/run --quiet", where="disk/run",
         what=("No space left on device",), limit=FULL.format("20k"), mounts=True,
         near="train c.toml --out disk/run --quiet", mended=config(),
         mended_command="train c.toml --out elsewhere --quiet"),
    line("D132", "a problem whose numbers are none", "plan --problem a.csv", where="a.csv:2",
         files=written(a_csv=PROBLEM.replace("3,64", "3,many")), near_files=written(a_csv=PROBLEM),
         near="plan --problem a.csv", by_hand="the number that it should be"),
    line("D145", "a folder without pictures", "init downloads", where="downloads", setup="mkdir downloads",
         near="init .", near_setup="rm c.toml", by_hand="the folder that the pictures are in"),
    line("G905", "a GPU without a profile", "plan c.toml --device cuda", where="--device",
         environment={"LD_LIBRARY_PATH": "{build}/fake_nvml"},
         files=written(mine_toml=PROFILE), fill={"FILE.toml": "mine.toml"}, near="plan c.toml --device cpu"),
    line("C901", "a key of the config as an option, with a number below 0", "check c.toml --batch -3", where="--batch",
         what=("a key of the config",), near="check c.toml --set train.batch=4", by_hand="which batch is meant"),
]
