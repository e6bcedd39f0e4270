// Data sets of pictures in files: class folders, CSV lists, archives, packs of files. Internal to the folder.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/source.h"

namespace snug {

/// Where the bytes of pictures come from. Thread-safe.
class PictureStore {
 public:
  virtual ~PictureStore() = default;
  [[nodiscard]] virtual std::int64_t count() const = 0;
  /// One file's bytes, in `buffer` or somewhere that stays. Throws Error when it cannot be read.
  [[nodiscard]] virtual std::span<const std::byte> read(std::int64_t index, std::vector<std::byte>& buffer) const = 0;
  /// What shows whether a file is one, and whole, without reading it: its beginning (of `most_bytes` at least, where it
  /// has so many), its last bytes, its size. Throws as `read` does.
  struct Ends {
    std::span<const std::byte> begin, end;
    std::int64_t bytes = 0;
  };
  [[nodiscard]] virtual Ends ends(std::int64_t index, std::int64_t, std::vector<std::byte>& buffer) const {
    const std::span<const std::byte> whole = read(index, buffer);
    return {whole, whole, std::ssize(whole)};
  }
  [[nodiscard]] virtual std::string where(std::int64_t index) const = 0;
  [[nodiscard]] virtual std::string label_where(std::int64_t index) const { return where(index); }
  /// The path of the file that holds this picture alone; empty where many share one.
  [[nodiscard]] virtual std::string file(std::int64_t) const { return {}; }
  [[nodiscard]] virtual std::int64_t resident_bytes() const = 0;
  [[nodiscard]] virtual std::int64_t mapped_bytes() const { return 0; }
  [[nodiscard]] virtual std::int64_t most_bytes() const { return 0; }  ///< of the largest file, when known
  /// Whether every file was decoded before and is checked by a sum: looking at headers is enough.
  [[nodiscard]] virtual bool verified() const { return false; }
};

struct LabelledPictures {
  std::shared_ptr<const PictureStore> store;
  std::vector<std::int64_t> labels;
  std::vector<std::string> classes;  ///< empty: labels are numbers as they stand
  std::vector<Diagnostic> notes;
};

/// Looks at every file once (all cores) to find sizes and damage, which on_bad then names or leaves out: what is left
/// out must be known, so that on_bad = "skip" decodes all.
[[nodiscard]] SourcePointer make_picture_source(LabelledPictures pictures, const DataConfig& config,
                                                const InputSize& input, Decoding decoding, Findings& findings);

/// The three ways to name pictures. `classes`: names whose order is fixed already; none else.
[[nodiscard]] std::optional<LabelledPictures> list_folder(const std::string& folder,
                                                          const std::vector<std::string>& classes, Findings& findings);
[[nodiscard]] std::optional<LabelledPictures> list_csv(FileBytes file, const std::vector<std::string>& classes,
                                                       Findings& findings);
/// An archive of class folders, "x.tar.xz" or "x.tar.xz:train"; samples in the archive's order.
[[nodiscard]] std::optional<LabelledPictures> list_archive(const std::string& name,
                                                           const std::vector<std::string>& classes, Findings& findings);
[[nodiscard]] bool is_archive(const std::string& name);
/// The names of the pictures in an archive, in its order; what cannot be read to its end gives a finding and nothing.
[[nodiscard]] std::vector<std::string> archive_pictures(const std::string& path, Findings& findings);
/// Pictures by name, without labels.
[[nodiscard]] LabelledPictures list_files(std::vector<std::string> paths);

[[nodiscard]] std::vector<std::string> pictures_below(const std::string& folder);  ///< sorted; no hidden ones

/// Files on the disk, read when asked for. `label_places` may be empty.
[[nodiscard]] std::shared_ptr<const PictureStore> make_disk_store(std::vector<std::string> paths,
                                                                  std::vector<std::string> label_places);

[[nodiscard]] bool has_picture_name(std::string_view name);  ///< .jpg, .jpeg, .png, in any case

/// The numbers of class names in the order of `known`, else sorted. A name that `known` lacks is a finding at its
/// place.
[[nodiscard]] std::vector<std::int64_t> number_classes(std::span<const std::string> names,
                                                       std::vector<std::string>& classes, const std::string& where,
                                                       Findings& findings);

}  // namespace snug
