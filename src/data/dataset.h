// Data sets: what a split holds, one sample at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/dtype.h"
#include "base/shape.h"
#include "data/resize.h"
#include "snug/config.h"

namespace snug {

enum class LabelKind { numbers, rows };  ///< class numbers, or float rows (one-hot, soft, several ones, targets)

struct DatasetInfo {
  std::int64_t samples = 0;
  Shape image;               ///< [h, w, c], always channels last
  DType dtype = DType::u8;   ///< as `read` delivers pixels: u8, or f32 for every other source type (raw values)
  std::string source_dtype;  ///< as stored: "uint8", "float64", …
  double integer_max = 255;  ///< of the stored type; 0 for floats
  LabelKind labels = LabelKind::numbers;
  std::int64_t label_width = 1;      ///< columns of rows
  std::vector<std::string> classes;  ///< names; of numeric labels the numbers as text (max label + 1 of them)
  std::int64_t resident_bytes = 0;   ///< host memory that the open data set holds
  std::int64_t mapped_bytes = 0;     ///< of mapped files: resident once read, but the system may take the pages back
  std::int64_t reader_bytes = 0;     ///< what each thread that reads needs besides: decoders' buffers
  bool headers_only = false;         ///< of most pictures the header and the last bytes were read, and no pixels
  std::vector<Diagnostic> notes;     ///< what is worth knowing about the files, and no fault
};

/// Extents of a picture behind a sample.
struct PictureSize {
  std::int64_t height = 0, width = 0;
};

/// Thread-safe for reading.
class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual const DatasetInfo& info() const = 0;
  /// Writes the pixels of one sample (info().image elements of info().dtype).
  virtual void read_image(std::int64_t sample, std::byte* pixels) const = 0;
  /// The class number with label_offset added (labels = numbers).
  [[nodiscard]] virtual std::int64_t label(std::int64_t sample) const = 0;
  /// The row of a sample (labels = rows).
  virtual void read_row(std::int64_t sample, float* row) const = 0;
  /// Where a sample lies, for findings: "x.npy[17]", "train-images.gz[3]".
  [[nodiscard]] virtual std::string where(std::int64_t sample) const = 0;
  /// Where its label lies: "y.npy[17]".
  [[nodiscard]] virtual std::string label_where(std::int64_t sample) const { return where(sample); }

  /// From now on pages of mapped files are given back as soon as they are read: memory does not hold them all.
  virtual void pass_through() const {}

  /// Whether pictures of their own sizes stand behind the samples, of which read_image shows a resized part. Then:
  [[nodiscard]] virtual bool has_pictures() const { return false; }
  /// the whole picture as it is seen,
  [[nodiscard]] virtual PictureSize picture_size(std::int64_t) const { return {}; }
  /// the whole picture after data.resize and before the center crop,
  [[nodiscard]] virtual PictureSize resized_size(std::int64_t) const { return {}; }
  /// and any part of it, given in pixels of the whole, resized to info().image.
  virtual void read_box(std::int64_t, const Box&, std::byte*) const {}
  /// The path of the file that holds this picture alone; empty for arrays, archives and packs.
  [[nodiscard]] virtual std::string picture_file(std::int64_t) const { return {}; }
  /// The file's own bytes where there is one; empty else. `buffer` may hold them.
  [[nodiscard]] virtual std::span<const std::byte> encoded(std::int64_t, std::vector<std::byte>&) const { return {}; }
};

struct Splits {
  std::shared_ptr<const Dataset> train, val, test;  ///< null where the config names none
};

/// Pictures in files are decoded when they are opened, to find damage: all of them, or, of more than takes a second,
/// headers and last bytes of all and the pixels of a part.
enum class Decoding { all, some };

/// Opens what the config names. `val_split` divides train, stratified and seeded. Every problem of the files is in the
/// one Error that it throws. `input` is model.input: the size of synthetic images, and what every image must have after
/// `layout`; all zero: any.
[[nodiscard]] Splits open_data(const DataConfig& config, const std::array<std::int64_t, 3>& input, std::uint64_t seed,
                               Decoding decoding = Decoding::some);
/// One source whole (no val_split; every picture decoded), with label_offset and ignore_label done. NumPy and IDX
/// images without `labels` open too: class 0, no class names. `source` is usually a member of `config`: val and test
/// have synthetic pictures of their own; any other source shows those of data.train. `classes`: the class names that
/// numbers stand for, when they are known (from data.train, or a checkpoint).
[[nodiscard]] std::shared_ptr<const Dataset> open_source(const DataSource& source, const DataConfig& config,
                                                         const std::array<std::int64_t, 3>& input, std::uint64_t seed,
                                                         const std::vector<std::string>& classes = {});
/// Of a picture in an archive, "photos.tar.gz:cats/1.jpg", the two names; the second is empty for what is in none.
[[nodiscard]] std::pair<std::string, std::string> split_archive_name(const std::string& name);
/// Of the files of all splits.
[[nodiscard]] std::int64_t mapped_bytes(const Splits& splits);
/// Notes of all splits, each once.
[[nodiscard]] std::vector<Diagnostic> notes_of(const Splits& splits);

/// The class of every sample: its number, or of rows the largest column.
[[nodiscard]] std::vector<std::int64_t> class_numbers(const Dataset& data);

/// Mean and standard deviation per channel of the raw values, minimum and maximum, in one streaming pass; `limit`: of
/// so many samples at most, spread evenly.
struct PixelStatistics {
  std::vector<double> mean, std;
  double min = 0, max = 0;
  std::int64_t not_finite_sample = -1;  ///< the first sample with NaN or Inf, or −1
};
[[nodiscard]] PixelStatistics measure_pixels(const Dataset& data, std::int64_t limit = -1);

/// How raw pixels become the network's input: ((x ÷ divisor) − mean[c]) · inverse_std[c].
struct InputScaling {
  double divisor = 1;
  std::vector<double> mean, inverse_std;  ///< one per channel
};
/// What pixels are divided by first; 1 for floats that are taken as they are.
[[nodiscard]] double scaling_divisor(const Normalize& normalize, const DatasetInfo& train);
[[nodiscard]] InputScaling input_scaling(const Normalize& normalize, const Dataset& train);

}  // namespace snug
