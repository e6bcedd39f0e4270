// A training run as the user wrote it: plain values with the place each came from.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "snug/diagnostic.h"

namespace snug {

/// Where a value was written. Lines and columns count from 1; an option has line 0 and stands in `file`
/// ("--set train.epochs").
struct Position {
  std::string file;
  int line = 0;
  int column = 0;
};
[[nodiscard]] std::string to_string(const Position& position);  ///< "file:line:column", or the option

// ---- [data] ---------------------------------------------------------------------------------------------------

enum class DataFormat { idx, numpy, cifar10, cifar100, folder, csv, pack, synthetic };
[[nodiscard]] std::string_view to_string(DataFormat format);

/// One split's source. Paths are absolute or relative to the working folder (already joined with the config's
/// folder or --data-root).
struct DataSource {
  Position where;
  DataFormat format = DataFormat::idx;
  std::string images;  ///< IDX, NumPy ("file.npz:array" is allowed)
  std::string labels;
  std::vector<std::string> files;  ///< CIFAR binary
  std::string path;                ///< folder, CSV file or pack
  std::string synthetic;           ///< "shapes"
  std::int64_t count = 0;          ///< synthetic: number of images
};
[[nodiscard]] bool operator==(const DataSource& a, const DataSource& b);

enum class Normalization { by_type, none, unit, per_channel, mean_std };  ///< by_type: integers unit, floats none
struct Normalize {
  Normalization kind = Normalization::by_type;
  std::vector<double> mean;  ///< of mean_std: on 0..1 data, one value or one per channel
  std::vector<double> std;
  friend bool operator==(const Normalize&, const Normalize&) = default;
};

struct RandomCrop {
  std::int64_t size = 0, pad = 0;
  bool reflect = false;
  friend bool operator==(const RandomCrop&, const RandomCrop&) = default;
};
struct RandomResizedCrop {
  std::int64_t size = 0;
  friend bool operator==(const RandomResizedCrop&, const RandomResizedCrop&) = default;
};
struct Flip {
  double probability = 0;
  bool vertical = false;
  friend bool operator==(const Flip&, const Flip&) = default;
};
struct Rotate {
  double degrees = 0;
  friend bool operator==(const Rotate&, const Rotate&) = default;
};
struct ColorJitter {
  double brightness = 0, contrast = 0, saturation = 0, hue = 0;
  friend bool operator==(const ColorJitter&, const ColorJitter&) = default;
};
struct RandAugment {
  std::int64_t count = 0;
  double magnitude = 0;
  friend bool operator==(const RandAugment&, const RandAugment&) = default;
};
struct Erase {
  double probability = 0;
  friend bool operator==(const Erase&, const Erase&) = default;
};
struct Mix {
  double alpha = 0;
  bool cut = false;
  friend bool operator==(const Mix&, const Mix&) = default;
};  ///< mixup, or cutmix when `cut`
struct Augmentation {
  Position where;
  std::variant<RandomCrop, RandomResizedCrop, Flip, Rotate, ColorJitter, RandAugment, Erase, Mix> what;
};
[[nodiscard]] bool operator==(const Augmentation& a, const Augmentation& b);

enum class ArrayLayout { nhwc, nchw };
enum class CacheMode { automatic, ram, stream, device };
enum class Balance { none, weights, sampler };

struct DataConfig {
  std::optional<DataSource> train, val, test;
  std::string root;      ///< the folder that sources' files are below; empty where none has files
  double val_split = 0;  ///< 0: none
  Normalize normalize;
  std::vector<Augmentation> augment;
  ArrayLayout layout = ArrayLayout::nhwc;
  std::vector<std::int64_t> resize;  ///< empty, {short side}, or {height, width}
  bool resize_bicubic = false;       ///< else bilinear
  bool gray_to_rgb = false;
  std::int64_t label_offset = 0;
  std::optional<std::int64_t> ignore_label;
  CacheMode cache = CacheMode::automatic;
  bool skip_bad = false;
  bool shuffle = true;
  bool drop_last = false;
  Balance balance = Balance::none;
  std::int64_t workers = 0;  ///< 0: chosen by the loader
  friend bool operator==(const DataConfig&, const DataConfig&) = default;
};

// ---- [model] --------------------------------------------------------------------------------------------------

enum class Activation { identity, relu, relu6, leaky_relu, silu, gelu, sigmoid, tanh, softmax };
[[nodiscard]] std::string_view to_string(Activation activation);

struct Padding {
  enum class Kind { valid, same, number };
  Kind kind = Kind::valid;
  std::array<std::int64_t, 2> pixels{0, 0};  ///< of number: rows, columns, on both sides
  friend bool operator==(const Padding&, const Padding&) = default;
};

struct LayerConfig;
using LayerList = std::vector<LayerConfig>;
/// Equal values; places do not count, here and in the whole Config.
[[nodiscard]] bool operator==(const LayerConfig& a, const LayerConfig& b);
using Extent2 = std::array<std::int64_t, 2>;  ///< rows, columns

/// `conv` and `depthwise`.
struct ConvLayer {
  bool depthwise = false;
  std::int64_t filters = 0;     ///< of conv
  std::int64_t multiplier = 1;  ///< of depthwise
  Extent2 kernel{1, 1}, stride{1, 1}, dilation{1, 1};
  Padding padding;
  std::int64_t groups = 1;
  std::optional<bool> bias;  ///< default: no norm
  bool norm = false;
  Activation activation = Activation::identity;
  friend bool operator==(const ConvLayer&, const ConvLayer&) = default;
};
struct DenseLayer {
  std::int64_t units = 0;
  bool bias = true;
  Activation activation = Activation::identity;
  friend bool operator==(const DenseLayer&, const DenseLayer&) = default;
};
struct PoolLayer {
  bool average = false;
  Extent2 size{2, 2}, stride{2, 2};
  Padding padding;
  bool ceil = false;
  friend bool operator==(const PoolLayer&, const PoolLayer&) = default;
};
struct GlobalAveragePoolLayer {
  friend bool operator==(const GlobalAveragePoolLayer&, const GlobalAveragePoolLayer&) = default;
};
struct AdaptiveAveragePoolLayer {
  Extent2 size{1, 1};
  friend bool operator==(const AdaptiveAveragePoolLayer&, const AdaptiveAveragePoolLayer&) = default;
};
struct FlattenLayer {
  friend bool operator==(const FlattenLayer&, const FlattenLayer&) = default;
};
struct DropoutLayer {
  double rate = 0;
  friend bool operator==(const DropoutLayer&, const DropoutLayer&) = default;
};
struct BatchNormLayer {
  Activation activation = Activation::identity;
  friend bool operator==(const BatchNormLayer&, const BatchNormLayer&) = default;
};
struct ActivationLayer {
  Activation activation = Activation::identity;
  friend bool operator==(const ActivationLayer&, const ActivationLayer&) = default;
};
struct ResidualLayer {
  LayerList body, shortcut;  ///< an empty shortcut is identity
  Activation activation = Activation::identity;
  double stochastic_depth = 0;                  ///< drop probability, or of the first turn of a repeat
  std::optional<double> stochastic_depth_last;  ///< of the last turn; turns between are interpolated linearly
  friend bool operator==(const ResidualLayer&, const ResidualLayer&) = default;
};
struct BranchesLayer {
  std::vector<LayerList> branches;
  friend bool operator==(const BranchesLayer&, const BranchesLayer&) = default;
};
struct BlockLayer {
  LayerList layers;
  std::int64_t repeat = 0;
  friend bool operator==(const BlockLayer&, const BlockLayer&) = default;
};  ///< repeat 0: a group
struct SqueezeExciteLayer {
  std::int64_t reduced = 0;
  Activation activation = Activation::relu;
  friend bool operator==(const SqueezeExciteLayer&, const SqueezeExciteLayer&) = default;
};

/// The naming keys of the contract's section "Names"; what is not given is the place's number.
struct LayerNames {
  std::optional<std::string> name, body_name, shortcut_name, turn, norm_name, reduce_name, expand_name;
  std::vector<std::string> branch_names;
  std::int64_t first = 0;
  friend bool operator==(const LayerNames&, const LayerNames&) = default;
};

struct LayerConfig {
  Position where;
  std::map<std::string, Position, std::less<>> keys;  ///< where each key of this layer stands
  LayerNames names;
  std::variant<ConvLayer, DenseLayer, PoolLayer, GlobalAveragePoolLayer, AdaptiveAveragePoolLayer, FlattenLayer,
               DropoutLayer, BatchNormLayer, ActivationLayer, ResidualLayer, BranchesLayer, BlockLayer,
               SqueezeExciteLayer>
      what;
};

struct ModelConfig {
  std::string file;                            ///< the model file it came from, if any
  std::array<std::int64_t, 3> input{0, 0, 0};  ///< height, width, channels
  std::int64_t classes = 1000;                 ///< for layers written with "classes"
  double bn_momentum = 0.1;
  LayerList layers;
};
[[nodiscard]] bool operator==(const ModelConfig& a, const ModelConfig& b);  ///< `file` does not count

// ---- [train] --------------------------------------------------------------------------------------------------

enum class Loss { sparse_categorical_crossentropy, categorical_crossentropy, binary_crossentropy, mse };
[[nodiscard]] std::string_view to_string(Loss loss);

enum class OptimizerKind { sgd, adam, adamw };
struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::sgd;
  double lr = 0.01;
  double momentum = 0;  ///< sgd
  bool nesterov = false;
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< adam, adamw
  friend bool operator==(const OptimizerConfig&, const OptimizerConfig&) = default;
};

enum class ScheduleKind { constant, step, cosine, onecycle };
struct ScheduleConfig {
  ScheduleKind kind = ScheduleKind::constant;
  double warmup_epochs = 0;
  double every_epochs = 1, factor = 0.1;     ///< step
  double max_lr = 0, warmup_fraction = 0.3;  ///< onecycle; max_lr 0: the optimizer's lr
  friend bool operator==(const ScheduleConfig&, const ScheduleConfig&) = default;
};

enum class Precision { fp32, tf32, bf16, fp16 };
[[nodiscard]] std::string_view to_string(Precision precision);

enum class InitializerKind { he_normal, he_uniform, glorot_uniform, glorot_normal, normal };
struct Initializer {
  InitializerKind kind = InitializerKind::he_normal;
  double std = 0.02;
  friend bool operator==(const Initializer&, const Initializer&) = default;
};

struct EarlyStopping {
  std::string monitor = "val_accuracy";
  std::int64_t patience = 5;
  friend bool operator==(const EarlyStopping&, const EarlyStopping&) = default;
};

/// A batch size: a number, or what to look for.
struct BatchChoice {
  enum class Kind { number, automatic, maximum };
  Kind kind = Kind::automatic;
  std::int64_t number = 0;
  friend bool operator==(const BatchChoice&, const BatchChoice&) = default;
};

struct TrainConfig {
  Loss loss = Loss::sparse_categorical_crossentropy;
  std::int64_t epochs = 1;
  BatchChoice batch;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  Precision precision = Precision::fp32;
  std::uint64_t seed = 1;
  double label_smoothing = 0;
  double clip_norm = 0;       ///< 0: none
  double loss_scale = 65536;  ///< of fp16, at the beginning
  double ema = 0;             ///< 0: none
  std::int64_t accumulate = 1;
  std::vector<std::string> freeze;
  bool freeze_stats = false;
  bool histograms = false;
  std::vector<double> class_weights;
  std::optional<EarlyStopping> early_stopping;
  std::int64_t steps_per_epoch = 0;   ///< 0: all of the data
  std::int64_t checkpoint_every = 0;  ///< steps; 0: at the end of each epoch
  Initializer initializer;
  bool decay_norm_and_bias = false;
  double lr_reference_batch = 0;  ///< 0: the rate is taken as it stands
  friend bool operator==(const TrainConfig&, const TrainConfig&) = default;
};

// ---- [memory] -------------------------------------------------------------------------------------------------

/// A part of what is free, or a number of bytes.
struct Budget {
  double fraction = 0.9;
  std::optional<std::int64_t> bytes;
  friend bool operator==(const Budget&, const Budget&) = default;
};

struct MemoryConfig {
  Budget budget;
  bool strategy_auto = true;
  std::vector<std::string> strategy;            ///< what may be used, when not auto
  std::optional<std::int64_t> workspace_bytes;  ///< bounds every step's scratch
  friend bool operator==(const MemoryConfig&, const MemoryConfig&) = default;
};

// ---- the whole ------------------------------------------------------------------------------------------------

/// Tables that hold an error: their faulty keys have defaults, and what follows from that need not be said.
struct FaultyTables {
  bool data = false, model = false, train = false;
  bool loss = false;   ///< train.loss itself
  bool other = false;  ///< name, [memory]
  [[nodiscard]] bool any() const { return data || model || train || loss || other; }
};

struct Config {
  std::string name;
  std::string file;
  DataConfig data;
  ModelConfig model;
  TrainConfig train;
  MemoryConfig memory;
  std::map<std::string, Position, std::less<>> positions;  ///< of every value, by dotted key
  std::vector<Diagnostic> warnings;  ///< what is sound, but may not be meant; errors with ConfigOptions::keep_faulty
  FaultyTables faulty;

  /// The place of `key` ("train.optimizer.lr"), else of the nearest table above it, else the file.
  [[nodiscard]] Position where(std::string_view key) const;
};

[[nodiscard]] bool operator==(const Config& a, const Config& b);

struct ConfigOptions {
  std::vector<std::pair<std::string, std::string>> set;  ///< --set KEY=VALUE, in order
  std::optional<std::filesystem::path> data_root;        ///< instead of data.root, and of the config's folder
  bool model_only = false;   ///< accept a bare model file (`summary`, `plan`); data and train keep their defaults
  bool keep_faulty = false;  ///< read what is sound beside tables with errors, which are then among the warnings
};

/// Reads a TOML config. Every problem of the file and of the options is in the one Error that it throws; with
/// `keep_faulty` it throws only where there is no TOML to read, or an option is at fault.
[[nodiscard]] Config load_config(const std::filesystem::path& path, const ConfigOptions& options = {});

/// The same from text. `file` names it in findings; relative paths start from its folder.
[[nodiscard]] Config parse_config(std::string_view text, const std::filesystem::path& file,
                                  const ConfigOptions& options = {});

/// The config as TOML with every value resolved: what a run folder keeps. Reading it back gives an equal Config.
[[nodiscard]] std::string to_toml(const Config& config);

}  // namespace snug
