"""C, A, F, T: faults that the config alone shows, over sound data."""

import numpy as np

from cases_data import FOLDERS, ROWS, TWO, folders, loss, one_hot, photos, save, train_only, W, X, Y
from harness import CONV, DATA, END, RUN, SGD, Case, config, pictures

PLAIN = '  { conv = 8, kernel = 3, activation = "relu" },\n'
BLOCK = '  { repeat = %d, block = [ { conv = 8, kernel = 3, padding = "same", activation = "relu" }, { maxpool = 2 } ] },\n'
GAP = "  { global_avgpool = true },\n"


def net(*layers):
    return config(layers="".join(f"  {layer},\n" if not layer.startswith("  ") else layer for layer in layers))


def train(settings, **more):
    return config(train=settings, **more)


def sgd(values):
    return train(RUN + f'optimizer = {{ name = "sgd", {values} }}\n')


def adam(values):
    return train(RUN + f'optimizer = {{ name = "adam", {values} }}\n')


def extra(line):
    return config(more=line + "\n")


def binary(last='{ dense = 1, activation = "sigmoid" }', name="binary_crossentropy"):
    return config(layers=CONV + GAP + f"  {last},\n", more=f'loss = "{name}"\n')


TWO_CLASSES = save(train_y=Y % 2, val_y=W % 2)

ARCHITECTURE = [
    Case("A004", "dropout in percent", where="c.toml:9:", what=("50",),
         text=net(PLAIN, GAP, "{ dropout = 50 }", "{ dense = 4 }"), near=net(PLAIN, GAP, "{ dropout = 0.5 }",
                                                                             "{ dense = 4 }")),
    Case("A004", "stride 0", where="c.toml:7:", what=("stride is 0",),
         text=net('{ conv = 8, kernel = 3, stride = 0, activation = "relu" }',
                  END), near=net('{ conv = 8, kernel = 3, stride = 1, activation = "relu" }', END)),
    Case("A004", "no filters", where="c.toml:7:", what=("0",), text=net('{ conv = 0, kernel = 3, activation = "relu" }',
                                                                        END)),
    Case("A004", "negative padding", where="c.toml:7:", what=("-1",),
         text=net('{ conv = 8, kernel = 3, padding = -1, activation = "relu" }', END)),
    Case("A014", "blocks without end", where="c.toml:7:",
         text=net("{ block = [ " * 70 + '{ conv = 8, kernel = 1 }' + " ] }" * 70, END), by_hand="a list of 70 brackets",
         near=net("{ block = [ " * 5 + '{ conv = 8, kernel = 1 }' + " ] }" * 5, END)),
    Case("A004", "a repeat of a thousand million", where="c.toml:7:", what=("1000000000",),
         text=net('{ repeat = 1000000000, block = [ { conv = 8, kernel = 1, activation = "relu" } ] }',
                  END), near=net('{ repeat = 3, block = [ { conv = 8, kernel = 1, activation = "relu" } ] }', END)),
    Case(
        "A015", "repeats of repeats", where="c.toml:6:", text=net(
            '{ repeat = 10000, block = [ { repeat = 10000, block = [ { conv = 8, kernel = 1, activation = "relu" } ] } ] }',
            END), by_hand="how deep it is to be", near=net(
                '{ repeat = 2, block = [ { repeat = 2, block = [ { conv = 8, kernel = 1, activation = "relu" } ] } ] }',
                END)),
    Case("A101", "a kernel beyond its input", where="c.toml:7:15", what=("kernel 15 on 12×12 input",),
         text=net('{ conv = 8, kernel = 15, activation = "relu" }',
                  END), near=net('{ conv = 8, kernel = 12, activation = "relu" }', END)),
    Case("A101", "pools that shrink to nothing", where="c.toml:7:", what=("1×1",), text=config(layers=BLOCK % 5 + END),
         near=config(layers=BLOCK % 3 + END)),
    Case("A101", "valid convolutions that shrink to nothing", where="c.toml:12:", what=("2×2",),
         text=net(*[PLAIN] * 6, END), near=net(*[PLAIN] * 5, END)),
    Case("A102", "groups that do not divide", where="c.toml:8:27",
         what=("groups = 3", "8 input channels and 8 filters"),
         text=net(PLAIN, '{ conv = 8, kernel = 3, groups = 3, activation = "relu" }',
                  END), near=net(PLAIN, '{ conv = 8, kernel = 3, groups = 4, activation = "relu" }', END)),
    Case("A103", "a convolution behind flatten", where="c.toml:9:", what=("flat",),
         text=net(PLAIN, "{ flatten = true }", '{ conv = 8, kernel = 3, activation = "relu" }', "{ dense = 4 }"),
         near=net(PLAIN, '{ conv = 8, kernel = 3, activation = "relu" }', "{ flatten = true }",
                  "{ dense = 4 }"), mended=net(PLAIN, '{ conv = 8, kernel = 3, activation = "relu" }',
                                               "{ flatten = true }", "{ dense = 4 }")),
    Case("A104", "no flatten before the class layer", where="c.toml:8:5", what=("10×10×8",),
         text=net(PLAIN, "{ dense = 4 }"), near=net(PLAIN, "{ flatten = true }", "{ dense = 4 }")),
    Case(
        "A105", "a sum of other channels", where="c.toml:8:5", what=("10×10×16", "10×10×8"),
        text=net(PLAIN,
                 '{ residual = [ { conv = 16, kernel = 3, padding = "same", norm = "batch" } ], activation = "relu" }',
                 END),
        near=net(PLAIN,
                 '{ residual = [ { conv = 8, kernel = 3, padding = "same", norm = "batch" } ], activation = "relu" }',
                 END)),
    Case(
        "A105", "a sum of other sizes", where="c.toml:8:5", what=("8×8×8", "10×10×8"),
        text=net(PLAIN, '{ residual = [ { conv = 8, kernel = 3, norm = "batch" } ], activation = "relu" }', END),
        mended=net(
            PLAIN, '{ residual = [ { conv = 8, kernel = 3, padding = "same", norm = "batch" } ], activation = "relu" }',
            END)),
    Case(
        "A105", "a shortcut that lacks its stride", where="c.toml:8:", what=("5×5×8", "10×10×8"), text=net(
            PLAIN,
            '{ residual = [ { conv = 8, kernel = 3, stride = 2, padding = 1, norm = "batch" } ], activation = "relu" }',
            END)),
    Case("A106", "a join of other sizes", where="c.toml:8:5", what=("5×5", "10×10"),
         text=net(PLAIN, "{ branches = [ [], [ { maxpool = 2 } ] ] }",
                  END), near=net(PLAIN, "{ branches = [ [], [ { maxpool = 3, stride = 1, padding = 1 } ] ] }", END),
         mended=net(PLAIN, '{ branches = [ [], [ { maxpool = 3, stride = 1, padding = "same" } ] ] }', END)),
    Case(
        "A107", "one name for two layers", where="c.toml:8:", what=("conv",),
        text=net('{ conv = 8, kernel = 3, name = "conv", activation = "relu" }',
                 '{ conv = 8, kernel = 3, name = "conv", activation = "relu" }', END),
        near=net('{ conv = 8, kernel = 3, name = "conv", activation = "relu" }',
                 '{ conv = 8, kernel = 3, name = "conv2", activation = "relu" }', END)),
    Case(
        "A108", "a range of depth outside of a repeat", where="c.toml:8:", text=net(
            PLAIN,
            '{ residual = [ { conv = 8, kernel = 3, padding = "same", norm = "batch" } ], stochastic_depth = [0.0, 0.2], activation = "relu" }',
            END),
        near=net(
            PLAIN,
            '{ repeat = 2, block = [ { residual = [ { conv = 8, kernel = 3, padding = "same", norm = "batch" } ], stochastic_depth = [0.0, 0.2], activation = "relu" } ] }',
            END)),
    Case("A109", "a pool of padding alone", where="c.toml:8:", what=("padding 2", "2"),
         text=net(PLAIN, "{ maxpool = 2, padding = 2 }", END), near=net(PLAIN, "{ maxpool = 3, padding = 1 }", END)),
    Case(
        "A110", "a residual of nothing", where="c.toml:8:", text=net(PLAIN, '{ residual = [], activation = "relu" }',
                                                                     END),
        near=net(PLAIN, '{ residual = [ { depthwise = 3, padding = "same" } ], shortcut = [], activation = "relu" }',
                 END)),
    Case("C006", "no layers", where="c.toml", what=("at least 1",), text=config(layers=""),
         by_hand="the network is the user's to write"),
    Case(
        "A111", "a layer beyond any memory", where="c.toml:10:",
        text=net(PLAIN, "{ flatten = true }", "{ dense = 16777216 }", '{ dense = 16777216, activation = "relu" }',
                 "{ dense = 4 }"), by_hand="only the user knows how many units it should have"),
    Case("A004", "a negative repeat", where="c.toml:7:",
         text=net('{ repeat = -1, block = [ { conv = 8, kernel = 1, activation = "relu" } ] }', END)),
    Case(
        "A201", "norms of one value", where="c.toml:10:", what=("1 sample", "one value per channel"), text=train(
            "epochs = 4\nbatch = 1\noptimizer = { name = \"sgd\", lr = 0.01 }\n",
            layers=PLAIN + GAP + '  { dense = 8 },\n  { batchnorm = true, activation = "relu" },\n  { dense = 4 },\n'),
        near=train(
            "epochs = 4\nbatch = 2\noptimizer = { name = \"sgd\", lr = 0.01 }\n", layers=PLAIN + GAP +
            '  { dense = 8, bias = false },\n  { batchnorm = true, activation = "relu" },\n  { dense = 4 },\n')),
    Case(
        "A201", "a batch that leaves one over", where="c.toml:9:3", what=("240 samples in batches of 239",),
        text=train("epochs = 4\nbatch = 239\n",
                   layers=GAP + '  { dense = 8, activation = "relu" },\n  { batchnorm = true },\n  { dense = 4 },\n'),
        near=train("epochs = 4\nbatch = 238\n",
                   layers=GAP + '  { dense = 8, activation = "relu" },\n  { batchnorm = true },\n  { dense = 4 },\n')),
    Case("A202", "nothing to train", where="c.toml:", what=("2 layers",),
         text=net("{ maxpool = 2 }", "{ flatten = true }"), near=net("{ maxpool = 2 }", "{ flatten = true }",
                                                                     "{ dense = 4 }")),
    Case("A203", "two linear layers", severity="note", where="c.toml:9:", what=("dense",),
         text=net(PLAIN, GAP, "{ dense = 16 }",
                  "{ dense = 4 }"), near=net(PLAIN, GAP, '{ dense = 16, activation = "relu" }', "{ dense = 4 }")),
    Case("A204", "an enormous dense layer", severity="note", where="c.toml:9:", what=("8,192", "800 values", "99 %"),
         text=net(PLAIN, "{ flatten = true }", '{ dense = 8192, activation = "relu" }',
                  "{ dense = 4 }"), near=net(PLAIN, GAP, '{ dense = 512, activation = "relu" }', "{ dense = 4 }")),
    Case("A205", "a stride that skips", severity="note", where="c.toml:7:", what=("stride 8×8",),
         text=net('{ conv = 8, kernel = 2, stride = 8, activation = "relu" }',
                  END), near=net('{ conv = 8, kernel = 3, stride = 3, activation = "relu" }', END)),
    Case("A206", "a pool of one pixel", severity="warning", where="c.toml:8:", text=net(PLAIN, "{ maxpool = 1 }", END),
         near=net(PLAIN, "{ maxpool = 2 }", END)),
    Case("A206", "relu behind relu", severity="warning", where="c.toml:8:",
         text=net(PLAIN, '{ activation = "relu" }', END)),
    Case("A206", "a norm behind a norm", severity="warning", where="c.toml:8:",
         text=net(CONV.replace(', activation = "relu"', ""), '{ batchnorm = true, activation = "relu" }', END)),
    Case("A207", "a bias before a norm", severity="note", where="c.toml:7:",
         text=net('{ conv = 8, kernel = 3, bias = true, norm = "batch", activation = "relu" }',
                  END), near=net('{ conv = 8, kernel = 3, norm = "batch", activation = "relu" }', END)),
    Case(
        "A101", "a max pool of 16×16", where="c.toml:7:", what=("256 pixels, at most 255",),
        text=config(input="[32, 32, 3]",
                    layers="  { maxpool = 16 },\n" + END).replace("train-x", "big-x").replace("val-x", "big-v"),
        files=save(big_x=pictures(240, 0, 32), big_v=pictures(120, 1000, 32)),
        near=config(input="[32, 32, 3]",
                    layers="  { maxpool = 15 },\n" + END).replace("train-x", "big-x").replace("val-x", "big-v"),
        near_files=save(big_x=pictures(240, 0, 32), big_v=pictures(120, 1000, 32))),
]

LOSS = [
    Case("F101", "a map at the end", where="c.toml:8:", what=("ends in 8×8×4",),
         text=net(PLAIN, "{ conv = 4, kernel = 3 }"), near=net(PLAIN, "{ conv = 4, kernel = 3 }",
                                                               "{ global_avgpool = true }")),
    Case("F102", "sigmoid for classes", where="c.toml:9:", what=("ends in sigmoid",),
         text=net(PLAIN, GAP, '{ dense = 4, activation = "sigmoid" }'),
         near=net(PLAIN, GAP, '{ dense = 4, activation = "softmax" }')),
    Case(
        "F102", "softmax for several ones", where="c.toml:9:", what=("ends in softmax",),
        text=config(layers=PLAIN + GAP + '  { dense = 4, activation = "softmax" },\n',
                    more='loss = "binary_crossentropy"\n'),
        files=ROWS(4, lambda n, w: np.clip(one_hot(n, w) + np.roll(one_hot(n, w), 1, 1), 0, 1)),
        near=config(layers=PLAIN + GAP + '  { dense = 4, activation = "sigmoid" },\n',
                    more='loss = "binary_crossentropy"\n'),
        near_files=ROWS(4, lambda n, w: np.clip(one_hot(n, w) + np.roll(one_hot(n, w), 1, 1), 0, 1))),
    Case("F103", "softmax twice", where="c.toml:", what=("softmax is applied twice",),
         text=net(PLAIN, GAP, '{ dense = 4, activation = "softmax" }',
                  '{ activation = "softmax" }'), near=net(PLAIN, GAP, '{ dense = 4, activation = "softmax" }')),
    Case("F103", "softmax before the pooling", where="c.toml:",
         text=net(PLAIN, '{ conv = 4, kernel = 1, activation = "softmax" }', "{ global_avgpool = true }")),
    Case("F104", "too few outputs", where="c.toml:9:", what=("3 outputs, the data has 4 classes",),
         text=net(PLAIN, GAP, "{ dense = 3 }"), near=net(PLAIN, GAP, "{ dense = 4 }")),
    Case("F104", "too many outputs", severity="warning", where="c.toml:9:",
         what=("10 outputs, the data has 4 classes",), text=net(PLAIN, GAP, "{ dense = 10 }")),
    Case("F104", "another number of class folders", where="c.toml:9:", what=("10 outputs", "2 classes"),
         severity="warning", text=photos(layers=PLAIN + GAP + "  { dense = 10 },\n"), files=folders, near=photos(),
         near_files=folders),
    Case("F105", "one output for classes", where="c.toml:9:", what=("1 output",), text=net(PLAIN, GAP, "{ dense = 1 }"),
         files=TWO_CLASSES, near=binary("{ dense = 1 }"), near_files=TWO_CLASSES),
    Case("F106", "relu at the end", severity="warning", where="c.toml:9:",
         text=net(PLAIN, GAP, '{ dense = 4, activation = "relu" }'),
         near=net(PLAIN, GAP, '{ dense = 8, activation = "relu" }', "{ dense = 4 }")),
    Case("F106", "a layer of tanh at the end", severity="warning", where="c.toml:10:",
         text=net(PLAIN, GAP, "{ dense = 4 }", '{ activation = "tanh" }')),
    Case("F107", "two outputs with binary", where="c.toml:9:", what=("1 output, the network 2",),
         text=binary("{ dense = 2 }"), files=TWO_CLASSES, near=net(PLAIN, GAP,
                                                                   "{ dense = 2 }"), near_files=TWO_CLASSES),
    Case("F108", "outputs pooled behind relu", severity="note", where="c.toml:8:", what=("4 outputs",),
         text=net(PLAIN, '{ conv = 4, kernel = 1, activation = "relu" }', "{ global_avgpool = true }"),
         near=net(PLAIN, "{ conv = 4, kernel = 1 }", "{ global_avgpool = true }")),
    Case("F109", "mse on one-hot rows", severity="warning", where="c.toml:", what=("4 classes",), text=loss("mse"),
         files=ROWS(4, one_hot), near=loss("mse"),
         near_files=ROWS(4, lambda n, w: (np.arange(n * w).reshape(n, w) % 11 / 10).astype(np.float32))),
    Case("F110", "dropout at the end", severity="warning", where="c.toml:10:", what=("0.5",),
         text=net(PLAIN, GAP, "{ dense = 4 }", "{ dropout = 0.5 }"), near=net(PLAIN, GAP, "{ dropout = 0.5 }",
                                                                              "{ dense = 4 }")),
]

ROW_WEIGHTS = "class_weights = [1.0, 2.0, 1.0, 1.0]"
SETTINGS = [
    Case("T004", "momentum of one and more", where="c.toml:14:", what=("1.5",), text=sgd("lr = 0.05, momentum = 1.5"),
         near=sgd("lr = 0.05, momentum = 0.9")),
    Case("T004", "no epochs", where="c.toml:12:", what=("epochs is 0",), text=train("epochs = 0\nbatch = 20\n" + SGD)),
    Case("T004", "a negative rate", where="c.toml:14:", what=("-0.05",), text=sgd("lr = -0.05")),
    Case("T004", "steps per epoch 0 and below", where="c.toml:15:", what=("-1",), text=extra("steps_per_epoch = -1"),
         near=extra("steps_per_epoch = 6")),
    Case("T004", "a batch of none", where="c.toml:13:", what=("batch is 0",),
         text=train("epochs = 4\nbatch = 0\n" + SGD)),
    Case("T011", "nesterov without momentum", where="c.toml:14:", text=sgd("lr = 0.05, nesterov = true"),
         near=sgd("lr = 0.05, momentum = 0.9, nesterov = true")),
    Case("T012", "momentum with adam", severity="warning", where="c.toml:14:", what=("momentum",),
         text=adam("lr = 0.001, momentum = 0.9"), near=adam("lr = 0.001")),
    Case("T013", "more parts than samples", where="c.toml:15:", what=("64", "20"), text=extra("accumulate = 64"),
         near=extra("accumulate = 20")),
    Case("T101", "a warm-up beyond the run", where="c.toml:15:", what=("warmup_epochs = 5 of 4 epochs",),
         text=extra('schedule = { name = "cosine", warmup_epochs = 5 }'),
         near=extra('schedule = { name = "cosine", warmup_epochs = 1 }')),
    Case("T102", "fp16 on a CPU", where="c.toml:15:", what=("fp16",), text=extra('precision = "fp16"'),
         words="--device cpu", near=extra('precision = "fp32"')),
    Case("T103", "tf32 on a CPU", severity="note", where="c.toml:15:", text=extra('precision = "tf32"'),
         words="--device cpu", near=extra('precision = "fp32"')),
    Case("T104", "parts that do not divide", severity="warning", where="c.toml:15:",
         what=("accumulate = 3 does not divide batch = 20",), text=extra("accumulate = 3"),
         near=extra("accumulate = 4")),
    Case("T105", "patience beyond the run", severity="warning", where="c.toml:15:", what=("patience = 9 in 4 epochs",),
         text=extra("early_stopping = { patience = 9 }"), near=extra("early_stopping = { patience = 3 }")),
    Case("T106", "early stopping without data.val", where="c.toml:", what=("val_loss",),
         text=train_only(more='early_stopping = { monitor = "val_loss", patience = 2 }\n'),
         near=train_only(more='early_stopping = { monitor = "train_loss", patience = 2 }\n')),
    Case("T107", "two weights for four classes", where="c.toml:15:", what=("2 numbers", "4 outputs"),
         text=extra("class_weights = [1.0, 2.0]"), near=extra(ROW_WEIGHTS)),
    Case("T108", "a batch beyond the data", severity="warning", where="c.toml:13:", what=("240",),
         text=train("epochs = 4\nbatch = 500\n" + SGD), near=train("epochs = 4\nbatch = 240\n" + SGD)),
    Case("T108", "no batch at all", where="c.toml:", what=("no batch",), text=train("epochs = 4\nbatch = 500\n" + SGD,
                                                                                    data="drop_last = true\n"),
         near=train("epochs = 4\nbatch = 240\n" + SGD, data="drop_last = true\n")),
    Case("T109", "everything is frozen", where="c.toml:15:", text=extra('freeze = ["0", "2"]'),
         near=extra('freeze = ["backbone"]\nfreeze_stats = true')),
    Case("T110", "smoothing with mse", severity="warning", where="c.toml:16:",
         text=config(more='loss = "mse"\nlabel_smoothing = 0.1\n'),
         files=ROWS(4, lambda n, w: (np.arange(n * w).reshape(n, w) % 11 / 10).astype(np.float32)),
         near=extra("label_smoothing = 0.1")),
    Case("T111", "a rate beyond any recipe", severity="warning", where="c.toml:14:", what=("lr = 1",),
         text=adam("lr = 1.0"), near=adam("lr = 0.01")),
    Case("T112", "a rate that moves nothing", severity="warning", where="c.toml:14:", what=("1e-09",),
         text=adam("lr = 1e-9"), near=adam("lr = 1e-5")),
    Case("T113", "steps beyond the run", severity="note", where="c.toml:15:", what=("30", "4 epochs"),
         text=extra('schedule = { name = "step", every_epochs = 30, factor = 0.1 }'),
         near=extra('schedule = { name = "step", every_epochs = 2, factor = 0.1 }')),
    Case("T115", "decay that outweighs", severity="warning", where="c.toml:14:", what=("weight_decay = 1",),
         text=sgd("lr = 0.05, momentum = 0.9, weight_decay = 1.0"),
         near=sgd("lr = 0.05, momentum = 0.9, weight_decay = 1e-3")),
    Case("T116", "much is dropped", severity="warning", where="c.toml:4:", what=("90 of 240",),
         text=train("epochs = 4\nbatch = 150\n" + SGD, data="drop_last = true\n"),
         near=train("epochs = 4\nbatch = 60\n" + SGD, data="drop_last = true\n")),
    Case("T117", "smoothing that hides", severity="warning", where="c.toml:15:", what=("0.9",),
         text=extra("label_smoothing = 0.9"), near=extra("label_smoothing = 0.1")),
    Case("T118", "an average that begins too late", severity="warning", where="c.toml:14:",
         what=("ema = 0.9999 over 400 steps", "96 %"), text=train("epochs = 100\nbatch = 60\nema = 0.9999\n"),
         near=train("epochs = 100\nbatch = 60\nema = 0.95\n")),
    Case("T119", "clipping to nothing", severity="warning", where="c.toml:15:", what=("1e-06",),
         text=extra("clip_norm = 1e-6"), near=extra("clip_norm = 1.0")),
    Case("T120", "freezing what is not there", where="c.toml:15:", what=("layer9",), text=extra('freeze = ["layer9"]'),
         near=extra('freeze = ["0"]\nfreeze_stats = true')),
    Case(
        "T201", "a first loss far off", severity="warning", where="c.toml:",
        what=("guessing evenly among 4 classes gives 1.386",),
        text=config(layers=PLAIN + "  { flatten = true },\n  { dense = 4 },\n",
                    more='initializer = { name = "normal", std = 2.0 }\n'),
        near=config(layers=PLAIN + "  { flatten = true },\n  { dense = 4 },\n",
                    more='initializer = { name = "normal", std = 0.02 }\n')),
    Case(
        "T202", "all relus dead", where="c.toml:7:", what=("are 0 on 16 images",), text=config(
            layers='  { repeat = 16, block = [ { conv = 1, kernel = 1, padding = "same", activation = "relu" } ] },\n' +
            END),
        mended=config(
            layers=
            '  { repeat = 16, block = [ { conv = 8, kernel = 3, padding = "same", norm = "batch", activation = "relu" } ] },\n'
            + END),
        near=config(
            layers='  { repeat = 16, block = [ { conv = 8, kernel = 3, padding = "same", activation = "relu" } ] },\n' +
            END)),
    Case(
        "T203", "signals that vanish", severity="warning", where="c.toml:", text=config(
            layers='  { repeat = 24, block = [ { conv = 6, kernel = 3, padding = "same", activation = "sigmoid" } ] },\n'
            + END),
        near=config(
            layers='  { repeat = 2, block = [ { conv = 8, kernel = 3, padding = "same", activation = "sigmoid" } ] },\n'
            + END)),
    Case(
        "T204", "values beyond all numbers", where="c.toml:7:", what=("not finite on the first 16 images",),
        text=config(layers=PLAIN + "  { flatten = true },\n  { dense = 4 },\n",
                    more='initializer = { name = "normal", std = 1e38 }\n'),
        near=config(layers=PLAIN + "  { flatten = true },\n  { dense = 4 },\n",
                    more='initializer = { name = "normal", std = 0.1 }\n')),
    Case("T205", "a rate that learns nothing", severity="warning", where="c.toml:14:", what=("150 steps",),
         text=train(RUN + 'optimizer = { name = "sgd", lr = 2e-5 }\n'), words="--deep", near=config(),
         near_words="--deep"),
    Case("T206", "statistics of frozen norms", severity="warning", where="c.toml:", what=("running_mean",),
         text=extra('freeze = ["0"]'), words="--deep", near=extra('freeze = ["0"]\nfreeze_stats = true'),
         near_words="--deep"),
]

CONFIG = [
    Case("T209", "a network that a check is too short for", severity="note", where="c.toml:", what=("2 GiB",),
         text=net(PLAIN, "{ flatten = true }", '{ dense = 300000, activation = "relu" }', "{ dense = 4 }"),
         near=net(PLAIN, "{ flatten = true }", '{ dense = 512, activation = "relu" }', "{ dense = 4 }"),
         by_hand="nothing is to be done"),
    Case("C002", "no TOML", where="c.toml:12:", text=train("epochs = = 3\n"),
         by_hand="the finding shows how lines are written"),
    Case("C003", "a word for a number", where="c.toml:12:", what=("five",),
         text=train('epochs = "five"\n' + "batch = 20\n" + SGD)),
    Case("C003", "a number in quotes", where="c.toml:12:", text=train('epochs = "5"\nbatch = 20\n' + SGD)),
    Case("D004", "a share of samples in percent", where="c.toml:3:", what=("20",),
         text=train_only(data="val_split = 20\n"), near=train_only(data="val_split = 0.2\n")),
    Case("C004", "a budget of more than everything", where="c.toml:16:", what=("150%",),
         text=config(more='[memory]\nbudget = "150%"\n'), near=config(more='[memory]\nbudget = "90%"\n')),
    Case("C005", "a loss that is none", where="c.toml:15:", what=("crossentropy",), text=extra('loss = "crossentropy"'),
         near=extra('loss = "sparse_categorical_crossentropy"')),
    Case("C005", "an activation that is none", where="c.toml:7:", what=("ReLU",),
         text=net('{ conv = 8, kernel = 3, activation = "ReLU" }', END)),
    Case("C006", "the count in model.input", where="c.toml:5:9", what=("4",), text=config(input="[240, 12, 12, 3]")),
    Case("C007", "a key mistyped", where="c.toml:7:", what=('did you mean "kernel"?',),
         text=net('{ conv = 8, kernal = 3, activation = "relu" }', END)),
    Case("C007", "a layer mistyped", where="c.toml:9:", what=('did you mean "dense"?',),
         text=net(PLAIN, GAP, "{ dens = 4 }")),
    Case("C008", "no input", where="c.toml", what=("input",), text=config().replace("input = [12, 12, 3]\n", ""),
         left=("D111",)),
    Case("C009", "a source that names no data", where="c.toml:2:", text=config(source="train = { }\n"),
         fill={"train-images.gz": "train-x.npy", "train-labels.gz": "train-y.npy"}),
    Case("C010", "two augmentations in one", where="c.toml:4:",
         text=config(data="augment = [ { hflip = 0.5, rotate = 10 } ]\n"),
         near=config(data="augment = [ { hflip = 0.5 }, { rotate = 10 } ]\n"), left=("D116",)),
    Case("C011", "val and val_split", where="c.toml:", text=config(data="val_split = 0.1\n")),
    Case("C013", "two layers in one", where="c.toml:7:",
         text=net('{ conv = 8, kernel = 3, maxpool = 2, activation = "relu" }',
                  END), mended=net('{ conv = 8, kernel = 3, activation = "relu" }', "{ maxpool = 2 }", END)),
    Case("C201", "a cache on the device", where="c.toml:4:", text=config(data='cache = "device"\n'),
         near=config(data='cache = "ram"\n')),
    Case("C202", "a rotation where images stay on the device", where="c.toml:4:", what=("does not do rotate",),
         text=config(data='cache = "device"\naugment = [ { rotate = 10 } ]\n'), words="--device rtx4090",
         near=config(data='cache = "device"\naugment = [ { hflip = 0.5 } ]\n'), near_words="--device rtx4090"),
]

TARGETS = config(layers=CONV + GAP + "  { dense = 1 },\n", more='loss = "mse"\n')
SIGMOID = TARGETS.replace("{ dense = 1 }", '{ dense = 1, activation = "sigmoid" }')


def targets(scale, least=0.0):
    rng = np.random.default_rng(7)
    made = [(least + scale * rng.random((count, 1))).astype(np.float32) for count in (240, 120)]
    return save(train_y=made[0], val_y=made[1])


# One cause that once was two findings, or whose fix did not stand alone.
SINGLE = [
    Case("T111", "a rate of 1e30", severity="warning", where="c.toml:14:34", what=("1e+30",), text=sgd("lr = 1e30"),
         near=sgd("lr = 0.05")),
    Case("T111", "a rate of 1e30, tried on a batch", severity="warning", where="c.toml:14:34", what=("1e+30",),
         text=sgd("lr = 1e30"), words="--deep", near=sgd("lr = 0.05"), near_words="--deep"),
    Case("T111", "steps that go up", severity="warning", where="c.toml:15:", what=("0.05 to 50",),
         text=extra('schedule = { name = "step", every_epochs = 1, factor = 10.0 }'),
         near=extra('schedule = { name = "step", every_epochs = 1, factor = 0.5 }')),
    Case("T204", "targets of a hundred thousand", severity="warning", where="c.toml:14:34", what=("targets are about",),
         text=TARGETS, files=targets(1e5), near=TARGETS, near_files=targets(1.0)),
    Case("F106", "targets beyond a sigmoid", severity="warning", where="c.toml:9:", what=("sigmoid gives 0 to 1", "99."),
         text=SIGMOID, files=targets(100.0), near=SIGMOID, near_files=targets(1.0)),
    Case("F106", "relu in front of softmax", severity="warning", where="c.toml:9:",
         text=net(PLAIN, GAP, '{ dense = 4, activation = "relu" }', '{ activation = "softmax" }'),
         near=net(PLAIN, GAP, "{ dense = 4 }", '{ activation = "softmax" }')),
    Case("A206", "flatten twice", severity="note", where="c.toml:9:", text=net(PLAIN, "{ flatten = true }",
                                                                           "{ flatten = true }", "{ dense = 4 }"),
         near=net(PLAIN, "{ flatten = true }", "{ dense = 4 }")),
    Case("C007", "a layer of Keras", where="c.toml:7:5", what=('unknown layer "Conv2D"', '"conv"'),
         text=net('{ Conv2D = 8, kernel = 3, activation = "relu" }', END), near=net(PLAIN, END)),
    Case("C006", "an input without channels", where="c.toml:5:9", what=("got 2",), text=config(input="[12, 12]"),
         fill={"[12, 12, 1]": "[12, 12, 3]"}),
    Case("A004", "an input without width", where="c.toml:5:", what=("is 0",), text=config(input="[12, 0, 3]"),
         fill={"[12, 28, 3]": "[12, 12, 3]"}),
    Case("D004", "a deviation of 0", where="c.toml:4:", what=("0.0",),
         text=config(data="normalize = { mean = [0.5], std = [0.0] }\n"),
         near=config(data="normalize = { mean = [0.5], std = [0.25] }\n")),
    Case("T004", "a weight below 0", where="c.toml:15:", what=("-1.0",),
         text=extra("class_weights = [1.0, -1.0, 1.0, 1.0]"), near=extra(ROW_WEIGHTS)),
]

CASES = ARCHITECTURE + LOSS + SETTINGS + CONFIG + SINGLE
