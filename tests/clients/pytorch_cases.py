"""The nets and settings that are compared: one feature of the contract each."""

PLAIN = '{ conv = 6, kernel = 3, padding = 1, activation = "relu" }'
NORMED = '{ conv = 6, kernel = 3, padding = 1, norm = "batch", activation = "relu" }'
HEAD = "{ global_avgpool = true }, { dense = 5 }"
SGD = 'optimizer = { name = "sgd", lr = 0.05, momentum = 0.9 }'


def config(layers, train=SGD, size=(9, 8, 3), batch=8, epochs=4):
    return f"""name = "case"
[data]
train = {{ images = "x.npy", labels = "y.npy" }}
val = {{ images = "x.npy", labels = "y.npy" }}
normalize = "none"
shuffle = false
[model]
input = [{size[0]}, {size[1]}, {size[2]}]
layers = [ {layers} ]
[train]
epochs = {epochs}
batch = {batch}
{train}
"""


def layer_cases():
    convs = {
        "conv valid": "{ conv = 6, kernel = 3 }",
        "conv same stride 2": '{ conv = 6, kernel = 3, stride = 2, padding = "same" }',
        "conv same even kernel": '{ conv = 6, kernel = [4, 2], padding = "same" }',
        "conv number padding": "{ conv = 6, kernel = 5, padding = 2, stride = [2, 1] }",
        "conv dilation": "{ conv = 6, kernel = 3, dilation = 2, padding = 2 }",
        "conv groups": "{ conv = 6, kernel = 3, groups = 3 }",
        "conv no bias": "{ conv = 6, kernel = 1, bias = false }",
        "conv norm": '{ conv = 6, kernel = 3, norm = "batch" }',
        "conv norm and bias": '{ conv = 6, kernel = 3, norm = "batch", bias = true }',
        "depthwise": '{ depthwise = 3, padding = "same" }',
        "depthwise multiplier": '{ depthwise = [3, 2], multiplier = 2, stride = 2, norm = "batch" }',
        "maxpool": f"{PLAIN}, {{ maxpool = 2 }}",
        "maxpool overlap padding": f"{PLAIN}, {{ maxpool = 3, stride = 2, padding = 1 }}",
        "maxpool ceil": f"{PLAIN}, {{ maxpool = 2, ceil = true }}",
        "maxpool same": f'{PLAIN}, {{ maxpool = 3, stride = 2, padding = "same" }}',
        "avgpool": f"{PLAIN}, {{ avgpool = 2 }}",
        "avgpool overlap padding": f"{PLAIN}, {{ avgpool = 3, stride = 2, padding = 1 }}",
        "avgpool ceil": f"{PLAIN}, {{ avgpool = [2, 3], ceil = true }}",
        "adaptive avgpool": f"{PLAIN}, {{ adaptive_avgpool = [4, 3] }}",
        "batchnorm": f'{PLAIN}, {{ batchnorm = true, activation = "relu" }}',
        "dropout zero": f"{PLAIN}, {{ dropout = 0.0 }}",
        "residual identity": f"{NORMED}, {{ residual = [ {NORMED} ], activation = \"relu\" }}",
        "residual shortcut": f'{NORMED}, {{ residual = [ {{ conv = 8, kernel = 3, stride = 2, padding = 1 }} ], '
                             'shortcut = [ { conv = 8, kernel = 1, stride = 2, norm = "batch" } ], activation = "relu" }',
        "branches": f"{PLAIN}, {{ branches = [ [], [ {NORMED} ], [ {{ conv = 3, kernel = 1 }} ] ] }}",
        "repeat": f"{{ repeat = 2, block = [ {NORMED} ] }}",
        "group": f"{{ block = [ {NORMED}, {PLAIN} ] }}",
        "squeeze excite": f"{PLAIN}, {{ squeeze_excite = 2 }}",
        "squeeze excite silu": f'{NORMED}, {{ squeeze_excite = 3, activation = "silu" }}',
        "softmax on a map": f'{PLAIN}, {{ activation = "softmax" }}',
    }
    cases = {name: config(f"{layers}, {HEAD}") for name, layers in convs.items()}
    for activation in ("relu", "relu6", "leaky_relu", "silu", "gelu", "sigmoid", "tanh"):
        cases[f"activation {activation}"] = config(
            f'{{ conv = 6, kernel = 3 }}, {{ activation = "{activation}" }}, '
            f'{{ conv = 6, kernel = 3, norm = "batch", activation = "{activation}" }}, {HEAD}')
    cases["flatten dense"] = config(f'{PLAIN}, {{ maxpool = 2 }}, {{ flatten = true }}, '
                                    '{ dense = 7, activation = "tanh" }, { dense = 5, bias = false }')
    # Norms over a batch of 8 single values amplify rounding: smooth layers and a low rate keep the runs together.
    smooth, slow = PLAIN.replace("relu", "tanh"), SGD.replace("0.05", "0.005")
    cases["flatten batchnorm dense"] = config(f'{smooth}, {{ maxpool = 2 }}, {{ flatten = true }}, '
                                              '{ batchnorm = true, activation = "tanh" }, { dense = 5 }', slow)
    cases["flattened maps joined"] = config(f'{smooth}, {{ branches = [ [ {{ flatten = true }} ], [ {{ maxpool = 2 }}, '
                                            '{ flatten = true } ], [ { global_avgpool = true } ] ] }, '
                                            '{ batchnorm = true }, { dense = 5 }', slow)
    cases["softmax at the end"] = config(f'{PLAIN}, {{ global_avgpool = true }}, {{ dense = 5, activation = "softmax" }}')
    cases["one channel"] = config(f"{NORMED}, {HEAD}", size=(7, 7, 1))
    cases["bn_momentum"] = config(f"{NORMED}, {HEAD}").replace("layers =", "bn_momentum = 0.3\nlayers =")
    return cases


def training_cases():
    net = f"{NORMED}, {{ maxpool = 2 }}, {PLAIN}, {HEAD}"
    plain = f"{PLAIN}, {{ maxpool = 2 }}, {PLAIN}, {HEAD}"
    one = f"{NORMED}, {{ global_avgpool = true }}, {{ dense = 1 }}"
    settings = {
        "sgd plain": 'optimizer = { name = "sgd", lr = 0.1 }',
        "sgd nesterov decay": 'optimizer = { name = "sgd", lr = 0.05, momentum = 0.9, nesterov = true, weight_decay = 0.05 }',
        "adam": 'optimizer = { name = "adam", lr = 0.01 }',
        "adam decay": 'optimizer = { name = "adam", lr = 0.01, weight_decay = 0.1 }',
        "adamw decay": 'optimizer = { name = "adamw", lr = 0.01, weight_decay = 0.1 }',
        "adamw betas epsilon": 'optimizer = { name = "adamw", lr = 0.01, betas = [0.8, 0.95], epsilon = 1e-4 }',
        "decay norm and bias": 'optimizer = { name = "sgd", lr = 0.05, weight_decay = 0.1 }\ndecay_norm_and_bias = true',
        "schedule step": f'{SGD}\nschedule = {{ name = "step", every_epochs = 1, factor = 0.3 }}',
        "schedule cosine": f'{SGD}\nschedule = {{ name = "cosine" }}',
        "schedule cosine warmup": f'{SGD}\nschedule = {{ name = "cosine", warmup_epochs = 1 }}',
        "schedule constant fractional warmup": f'{SGD}\nschedule = {{ name = "constant", warmup_epochs = 0.6 }}',
        "schedule step warmup": f'{SGD}\nschedule = {{ name = "step", every_epochs = 2, factor = 0.5, warmup_epochs = 1 }}',
        "schedule onecycle": f'{SGD}\nschedule = {{ name = "onecycle", max_lr = 0.1 }}',
        "schedule onecycle fraction": f'{SGD}\nschedule = {{ name = "onecycle", max_lr = 0.1, warmup_fraction = 0.5 }}',
        "lr reference batch": f"{SGD}\nlr_reference_batch = 16",
        "label smoothing": f"{SGD}\nlabel_smoothing = 0.1",
        "class weights": f"{SGD}\nclass_weights = [1.0, 2.0, 0.5, 1.5, 3.0]",
        "clip norm": f"{SGD}\nclip_norm = 0.05",
        "ema": f"{SGD}\nema = 0.9",
        "freeze": f'{SGD}\nfreeze = ["0"]',
        "freeze stats": f"{SGD}\nfreeze_stats = true",
        "categorical": f'{SGD}\nloss = "categorical_crossentropy"',
        "categorical smoothing": f'{SGD}\nloss = "categorical_crossentropy"\nlabel_smoothing = 0.2',
        "binary rows": f'{SGD}\nloss = "binary_crossentropy"',
        "binary smoothing": f'{SGD}\nloss = "binary_crossentropy"\nlabel_smoothing = 0.2',
        "mse": f'{SGD}\nloss = "mse"',
    }
    cases = {name: config(net, train) for name, train in settings.items()}
    cases["accumulate"] = config(plain, f"{SGD}\naccumulate = 2")
    cases["accumulate four parts"] = config(plain, f"{SGD}\naccumulate = 4", batch=12)
    cases["binary one output"] = config(one, f'{SGD}\nloss = "binary_crossentropy"')
    cases["sigmoid at the end"] = config(f'{NORMED}, {{ global_avgpool = true }}, {{ dense = 3, activation = "sigmoid" }}',
                                         f'{SGD}\nloss = "binary_crossentropy"')
    cases["mse one output"] = config(one, f'{SGD}\nloss = "mse"')
    cases["mse tanh output"] = config(f'{PLAIN}, {{ flatten = true }}, {{ dense = 2, activation = "tanh" }}',
                                      f'{SGD}\nloss = "mse"')
    cases["mse sigmoid output"] = config(f'{PLAIN}, {{ flatten = true }}, {{ dense = 2 }}, {{ activation = "sigmoid" }}',
                                         f'{SGD}\nloss = "mse"')
    return cases


def cases():
    return {**layer_cases(), **training_cases()}
