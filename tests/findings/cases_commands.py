"""C: what a command line can get wrong."""

from cases_data import FLOATS, V, X, both, save
from harness import RUN, SGD, Case, config


def line(code, name, command, near=None, setup="", **more):
    return Case(code, name, command=command, near_command=near, setup=setup, near_setup=setup if near else None, **more)


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
