"""A training step in TensorFlow's Keras: tensorflow_peer.py MODEL BATCH PRECISION THREADS [graph|xla]"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import keras
import tensorflow as tf
from keras import layers

from turns import take_turns

RATE, MOMENTUM, DECAY = 1e-6, 0.9, 5e-4


def conv_norm(x, channels, kernel, stride=1, relu=True):
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if relu else x


def lenet():
    x = images = keras.Input((28, 28, 1))
    for channels in (32, 64):
        x = layers.MaxPooling2D(2)(conv_norm(x, channels, 3))
    x = layers.Dense(128, activation="relu")(layers.Flatten()(x))
    return keras.Model(images, layers.Dense(10)(x))


def basic(x, channels, stride):
    shortcut = x if stride == 1 and x.shape[-1] == channels else conv_norm(x, channels, 1, stride, relu=False)
    y = conv_norm(conv_norm(x, channels, 3, stride), channels, 3, relu=False)
    return layers.ReLU()(layers.Add()([y, shortcut]))


def bottleneck(x, channels, stride):
    shortcut = x if stride == 1 and x.shape[-1] == 4 * channels else conv_norm(x, 4 * channels, 1, stride, relu=False)
    y = conv_norm(conv_norm(x, channels, 1), channels, 3, stride)  # the stride is in the 3×3, as in torchvision
    return layers.ReLU()(layers.Add()([conv_norm(y, 4 * channels, 1, relu=False), shortcut]))


def stages(x, block, depths):
    for stage, depth in enumerate(depths):
        for i in range(depth):
            x = block(x, 64 << stage, 2 if stage > 0 and i == 0 else 1)
    return layers.GlobalAveragePooling2D()(x)


def resnet18_cifar():
    images = keras.Input((32, 32, 3))
    x = stages(conv_norm(images, 64, 3), basic, (2, 2, 2, 2))
    return keras.Model(images, layers.Dense(10)(x))


def resnet50():
    images = keras.Input((224, 224, 3))
    x = layers.MaxPooling2D(3, 2, padding="same")(conv_norm(images, 64, 7, 2))
    x = stages(x, bottleneck, (3, 4, 6, 3))
    return keras.Model(images, layers.Dense(1000)(x))


def shipped(network):
    return lambda: network(weights=None, classifier_activation=None)


MODELS = {"lenet": lenet, "resnet18-cifar": resnet18_cifar, "resnet50": resnet50,
          "mobilenet_v2": shipped(keras.applications.MobileNetV2),
          "efficientnet_b0": shipped(keras.applications.EfficientNetB0),
          "densenet121": shipped(keras.applications.DenseNet121)}


def main():
    name, batch, precision, threads = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    variant = sys.argv[5] if len(sys.argv) > 5 else "graph"
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    if precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    net = MODELS[name]()
    images = tf.random.normal((batch, *net.input_shape[1:]))
    labels = tf.random.uniform((batch,), maxval=net.output_shape[-1], dtype=tf.int32)
    optimizer = keras.optimizers.SGD(RATE, MOMENTUM, nesterov=True, weight_decay=DECAY)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer.build(net.trainable_variables)

    @tf.function(jit_compile=variant == "xla")
    def graph(x, y):
        with tf.GradientTape() as tape:
            loss = loss_of(y, tf.cast(net(x, training=True), tf.float32))
        gradients = tape.gradient(loss, net.trainable_variables)
        optimizer.apply_gradients(zip(gradients, net.trainable_variables))
        return loss

    def step():
        graph(images, labels).numpy()

    step()  # traces the graph
    parameters = sum(int(tf.size(v)) for v in net.trainable_variables)
    take_turns(step, version=tf.__version__, parameters=parameters, threads=threads)


main()
