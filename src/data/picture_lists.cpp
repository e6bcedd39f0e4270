// Which pictures a class folder, a CSV file or an archive names, and with which labels.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/file.h"
#include "base/shell.h"
#include "base/text.h"
#include "data/picture_source.h"

namespace snug {

namespace {

namespace fs = std::filesystem;

class DiskStore final : public PictureStore {
 public:
  DiskStore(std::vector<std::string> paths, std::vector<std::string> label_places)
      : paths_(std::move(paths)), label_places_(std::move(label_places)) {}

  [[nodiscard]] std::int64_t count() const override { return std::ssize(paths_); }
  [[nodiscard]] std::span<const std::byte> read(std::int64_t index, std::vector<std::byte>& buffer) const override {
    const std::string& path = paths_[static_cast<std::size_t>(index)];
    const auto [file, bytes] = open(path);
    buffer.resize(static_cast<std::size_t>(bytes));
    return read_at(file, 0, buffer, path);
  }
  [[nodiscard]] Ends ends(std::int64_t index, std::int64_t most_bytes, std::vector<std::byte>& buffer) const override {
    constexpr std::int64_t kEnd = 16;
    const std::string& path = paths_[static_cast<std::size_t>(index)];
    const auto [file, bytes] = open(path);
    const bool whole = bytes <= most_bytes + kEnd;
    buffer.resize(static_cast<std::size_t>(whole ? bytes : most_bytes + kEnd));
    if (whole) {
      const std::span<const std::byte> all = read_at(file, 0, buffer, path);
      return {all, all, bytes};
    }
    const auto [begin, end] = std::pair(std::span(buffer).first(static_cast<std::size_t>(most_bytes)),
                                        std::span(buffer).last(static_cast<std::size_t>(kEnd)));
    return {read_at(file, 0, begin, path), read_at(file, bytes - kEnd, end, path), bytes};
  }
  [[nodiscard]] std::string where(std::int64_t index) const override { return paths_[static_cast<std::size_t>(index)]; }
  [[nodiscard]] std::string label_where(std::int64_t index) const override {
    return label_places_.empty() ? where(index) : label_places_[static_cast<std::size_t>(index)];
  }
  [[nodiscard]] std::string file(std::int64_t index) const override { return where(index); }
  [[nodiscard]] std::int64_t resident_bytes() const override {
    std::int64_t bytes = 0;
    for (const auto* list : {&paths_, &label_places_}) {
      for (const std::string& text : *list) bytes += static_cast<std::int64_t>(sizeof(std::string) + text.capacity());
    }
    return bytes;
  }

 private:
  static constexpr std::int64_t kMostFileBytes = std::int64_t{1} << 30;

  static std::pair<File, std::int64_t> open(const std::string& path) {
    File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat status {};
    if (file.get() < 0 || ::fstat(file.get(), &status) != 0) refuse(path, std::generic_category().message(errno));
    if (!S_ISREG(status.st_mode)) refuse(path, "it is no regular file");
    if (status.st_size > kMostFileBytes) refuse(path, fmt::format("{} is no picture", format_bytes(status.st_size)));
    return {std::move(file), status.st_size};
  }
  /// As much of `into` as the file has from `offset` on.
  static std::span<const std::byte> read_at(const File& file, std::int64_t offset, std::span<std::byte> into,
                                            const std::string& path) {
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got =
          ::pread(file.get(), into.data() + done, into.size() - done, offset + static_cast<std::int64_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) refuse(path, std::generic_category().message(errno));
      if (got == 0) break;  // it became shorter; the decoder says so
      done += static_cast<std::size_t>(got);
    }
    return into.first(done);
  }
  [[noreturn]] static void refuse(const std::string& path, std::string_view why) {
    throw Error(data_finding(FileUse::images, DataFault::unreadable, path, why, fmt::format("ls -l {}", path)));
  }
  std::vector<std::string> paths_, label_places_;
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

struct FolderScan {
  std::vector<std::string> pictures;
  std::int64_t others = 0;
  std::string other;  ///< one of them
};

/// Pictures below a folder, sorted; hidden files and folders do not count.
void walk(const fs::path& folder, FolderScan& scan, Findings& findings) {
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::follow_directory_symlink, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    const bool is_folder = entry->is_directory(ignored);
    if (name.starts_with(".")) {
      if (is_folder) entry.disable_recursion_pending();
      continue;
    }
    if (is_folder) {
      if (entry.depth() > 32) entry.disable_recursion_pending();  // links in a circle
      continue;
    }
    if (has_picture_name(name)) {
      scan.pictures.push_back(entry->path().string());
    } else if (scan.others++ == 0) {
      scan.other = entry->path().string();
    }
  }
  if (error) {
    findings.push_back(data_finding(FileUse::images, DataFault::unreadable, folder.string(),
                                    fmt::format("{} cannot be listed: {}", brief_name(folder), error.message()),
                                    fmt::format("ls -l {}", folder.string())));
  }
  std::ranges::sort(scan.pictures);
}

/// A finding for a folder that is not there or none; true when it is one.
bool is_folder(const std::string& folder, Findings& findings) {
  std::error_code error;
  if (fs::is_directory(folder, error)) return true;
  if (fs::exists(folder, error)) {
    findings.push_back(data_finding(
        FileUse::images, DataFault::unreadable, folder,
        fmt::format("{} is a file; folder = … names a folder of class folders, or an archive", brief_name(folder)),
        fmt::format("csv = \"{}\"   # or a folder", folder)));
  } else {
    (void)open_file(folder, FileUse::images, findings);  // it finds the nearest name
  }
  return false;
}

std::vector<fs::path> class_folders(const std::string& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (entry->is_directory(ignored) && !entry->path().filename().string().starts_with("."))
      folders.push_back(entry->path());
  }
  std::ranges::sort(folders, {}, [](const fs::path& path) { return path.filename().string(); });
  return folders;
}

void note_others(const FolderScan& all, std::vector<Diagnostic>& notes) {
  if (all.others == 0) return;
  notes.push_back(data_note(DataFault::left_out, all.other,
                            fmt::format("{} files are no .jpg, .jpeg or .png and are passed over: {} and the like",
                                        format_count(all.others), brief_name(all.other)),
                            fmt::format("rm {}   # if it does not belong there", all.other)));
}

}  // namespace

bool has_picture_name(std::string_view name) {
  const std::string small = lower(name);
  return small.ends_with(".jpg") || small.ends_with(".jpeg") || small.ends_with(".png");
}

std::shared_ptr<const PictureStore> make_disk_store(std::vector<std::string> paths,
                                                    std::vector<std::string> label_places) {
  return std::make_shared<DiskStore>(std::move(paths), std::move(label_places));
}

namespace {

/// What helps against a class that data.train lacks: the nearest name, or the split without it.
std::string strange_class_line(const std::string& where, const std::string& name,
                               const std::optional<std::string>& near) {
  std::error_code error;
  const bool folder = fs::is_directory(where, error);
  const auto below = [&](const std::string& entry) { return shell_word((fs::path(where) / entry).string()); };
  if (folder && near) return fmt::format("mv {} {}   # or rename the class in data.train", below(name), below(*near));
  if (folder) return fmt::format("rm -r {}   # or pictures of it in data.train", below(name));
  if (where.ends_with(".csv")) {
    return near ? fmt::format("sed -i 's/,{0}\\r*$/,{1}/' {2}   # or the name in data.train", name, *near,
                              shell_word(where))
                : fmt::format("sed -i '/,{}\\r*$/d' {}   # or pictures of it in data.train", name, shell_word(where));
  }
  return near
             ? fmt::format("mv {} {}   # in what {} is made of", shell_word(name), shell_word(*near), brief_name(where))
             : fmt::format("rm -r {}   # in what {} is made of, or pictures of it in data.train", shell_word(name),
                           brief_name(where));
}

}  // namespace

std::vector<std::int64_t> number_classes(std::span<const std::string> names, std::vector<std::string>& classes,
                                         const std::string& where, Findings& findings) {
  const bool known = !classes.empty();
  if (!known) {
    classes.assign(names.begin(), names.end());
    std::ranges::sort(classes);
    classes.erase(std::ranges::unique(classes).begin(), classes.end());
  }
  std::map<std::string_view, std::int64_t> numbers;
  for (std::size_t i = 0; i < classes.size(); ++i) numbers.emplace(classes[i], static_cast<std::int64_t>(i));
  std::vector<std::int64_t> result;
  std::vector<std::string_view> strange;
  for (const std::string& name : names) {
    const auto number = numbers.find(name);
    result.push_back(number == numbers.end() ? -1 : number->second);
    if (number != numbers.end() || std::ranges::find(strange, name) != strange.end()) continue;
    strange.push_back(name);
    const auto near = nearest(name, classes);
    findings.push_back(
        data_finding(FileUse::labels, DataFault::classes, where,
                     fmt::format("class \"{}\" is not one of the {} of data.train{}", shorten(name, 40), classes.size(),
                                 near ? fmt::format("; did you mean \"{}\"?", shorten(*near, 40)) : ""),
                     strange_class_line(where, name, near)));
  }
  return result;
}

std::optional<LabelledPictures> list_folder(const std::string& folder, const std::vector<std::string>& classes,
                                            Findings& findings) {
  if (!is_folder(folder, findings)) return std::nullopt;
  const std::size_t before = findings.size();
  LabelledPictures result{.classes = classes};
  std::vector<std::string> paths, names;
  FolderScan all;
  const std::vector<fs::path> folders = class_folders(folder);
  for (const fs::path& path : folders) names.push_back(path.filename().string());
  const std::vector<std::int64_t> numbers = number_classes(names, result.classes, folder, findings);
  for (std::size_t i = 0; i < folders.size(); ++i) {
    FolderScan scan{.others = all.others, .other = all.other};
    walk(folders[i], scan, findings);
    if (scan.pictures.empty() && classes.empty()) {
      result.notes.push_back(data_note(DataFault::classes, folders[i].string(),
                                       fmt::format("the class folder {} has 0 pictures", brief_name(folders[i])),
                                       fmt::format("rmdir {}   # if it is no class", shell_word(folders[i].string()))));
      result.notes.back().severity = Severity::warning;  // an output that nothing is learned for
    }
    result.labels.insert(result.labels.end(), scan.pictures.size(), numbers[i]);
    std::ranges::move(scan.pictures, std::back_inserter(paths));
    all.others = scan.others;
    all.other = scan.other;
  }
  if (paths.empty()) {
    FolderScan loose;
    if (folders.empty()) walk(folder, loose, findings);
    findings.push_back(data_finding(
        FileUse::images, DataFault::no_samples, folder,
        fmt::format("{} has {} class folders with 0 .jpg, .jpeg or .png files in them{}", brief_name(folder),
                    folders.size(),
                    loose.pictures.empty() ? "" : fmt::format(", and {} beside them", loose.pictures.size())),
        fmt::format("mkdir {}/CLASS   # a folder for each class, its pictures inside", folder)));
  }
  if (findings.size() > before) return std::nullopt;
  note_others(all, result.notes);
  result.store = make_disk_store(std::move(paths), {});
  return result;
}

std::vector<std::string> pictures_below(const std::string& folder) {
  FolderScan scan;
  Findings ignored;
  walk(folder, scan, ignored);
  return std::move(scan.pictures);
}

LabelledPictures list_files(std::vector<std::string> paths) {
  LabelledPictures result{.labels = std::vector<std::int64_t>(paths.size(), 0)};
  result.store = make_disk_store(std::move(paths), {});
  return result;
}

// ---- CSV ------------------------------------------------------------------------------------------------------

namespace {

/// Rows of a CSV file: fields may be quoted, a quote within them is written twice, and then hold commas and line ends.
class CsvReader {
 public:
  explicit CsvReader(std::string_view text) : text_(text) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }
  /// False at the end. `line` is where the row begins.
  bool next(std::vector<std::string>& fields, std::int64_t& line) {
    fields.clear();
    if (text_.empty()) return false;
    line = line_ + 1;
    std::string field;
    bool quoted = false, was_quoted = false;
    std::size_t i = 0;
    for (; i < text_.size(); ++i) {
      const char c = text_[i];
      if (c == '\n') ++line_;
      if (quoted) {
        if (c != '"') {
          field += c;
        } else if (i + 1 < text_.size() && text_[i + 1] == '"') {
          field += c;
          ++i;
        } else {
          quoted = false;
        }
      } else if (c == '"' && field.empty() && !was_quoted) {
        quoted = was_quoted = true;
      } else if (c == ',' || c == '\n') {
        if (!was_quoted) field = trimmed(field);
        fields.push_back(std::exchange(field, {}));
        was_quoted = false;
        if (c == '\n') break;
      } else if (!was_quoted || (c != '\r' && c != ' ')) {
        field += c;
      }
    }
    if (i >= text_.size()) {
      open_quote_ = quoted;
      fields.push_back(was_quoted ? field : trimmed(field));
      text_ = {};
    } else {
      text_.remove_prefix(i + 1);
    }
    return true;
  }
  [[nodiscard]] bool open_quote() const { return open_quote_; }

 private:
  static std::string trimmed(const std::string& text) {
    const std::size_t begin = text.find_first_not_of(" \t\r");
    if (begin == std::string::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
  }
  std::string_view text_;
  std::int64_t line_ = 0;
  bool open_quote_ = false;
};

constexpr std::size_t kMostCsvFindings = 20;

/// The columns of path and label, or a finding.
std::optional<std::pair<std::size_t, std::size_t>> csv_columns(const std::vector<std::string>& header,
                                                               const FileBytes& file, Findings& findings) {
  const auto path = std::ranges::find(header, "path", lower);
  const auto label = std::ranges::find(header, "label", lower);
  const bool twice = std::ranges::count(header, "path", lower) > 1 || std::ranges::count(header, "label", lower) > 1;
  if (path != header.end() && label != header.end() && !twice)
    return std::pair(static_cast<std::size_t>(path - header.begin()), static_cast<std::size_t>(label - header.begin()));
  const std::string kind = describe_content(file.bytes);
  std::string found = header.empty() ? "nothing" : header[0];
  for (std::size_t i = 1; i < std::min<std::size_t>(header.size(), 4); ++i) found += "," + header[i];
  std::ranges::replace_if(
      found, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  findings.push_back(
      data_finding(FileUse::images, DataFault::table_header, file.path + ":1:1",
                   kind.empty() ? fmt::format("{} begins with {}; its header must name the columns path and label once",
                                              brief_name(file.path), shorten(found, 50))
                                : fmt::format("{} is {}, no CSV file", brief_name(file.path), kind),
                   fmt::format("sed -i '1s/.*/path,label/{}' {}   # its columns, by these names",
                               header.size() == 1 && found.find(';') != std::string::npos ? "; s/;/,/g" : "",
                               shell_word(file.path))));
  return std::nullopt;
}

}  // namespace

std::optional<LabelledPictures> list_csv(FileBytes file, const std::vector<std::string>& classes, Findings& findings) {
  const fs::path folder = fs::path(file.path).parent_path();
  CsvReader reader({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()});
  std::vector<std::string> fields, paths, labels, places;
  std::int64_t line = 0;
  if (!reader.next(fields, line)) fields.clear();
  const auto columns = csv_columns(fields, file, findings);
  if (!columns) return std::nullopt;
  const auto [path_column, label_column] = *columns;
  const std::size_t width = fields.size();
  std::size_t faults = 0;
  while (reader.next(fields, line)) {
    if (fields.size() == 1 && fields[0].empty()) continue;
    const std::string where = fmt::format("{}:{}:1", file.path, line);
    const bool good = fields.size() == width && !fields[path_column].empty() && !fields[label_column].empty();
    if (!good || reader.open_quote()) {
      if (++faults > kMostCsvFindings) continue;
      findings.push_back(data_finding(
          FileUse::images, DataFault::table_row, where,
          reader.open_quote()      ? fmt::format("line {} has a quote that is not closed", line)
          : fields.size() != width ? fmt::format("line {} has {} fields, the header {}", line, fields.size(), width)
                                   : fmt::format("line {} has an empty path or label", line),
          // A row that says too much, or nothing: what it would be, to be looked at.
          fmt::format("sed -i '{}d' {}   # or write {}; names with commas in double quotes", line,
                      shell_word(file.path), width == 2 ? "PATH,LABEL" : "it as the header says")));
      continue;
    }
    paths.push_back((folder / fields[path_column]).string());
    labels.push_back(fields[label_column]);
    places.push_back(where);
  }
  if (faults > 0) return std::nullopt;
  if (paths.empty()) {
    findings.push_back(data_finding(FileUse::images, DataFault::no_samples, file.path,
                                    fmt::format("{} names 0 pictures", brief_name(file.path)), "PATH,LABEL"));
    return std::nullopt;
  }
  LabelledPictures result;
  const bool numeric =
      std::ranges::all_of(labels, [](const std::string& text) { return parse_integer(text).has_value(); });
  // Names that data.train has as text may look like numbers: then they are names.
  const bool names_known =
      !classes.empty() && std::ranges::any_of(classes, [](const std::string& text) { return !parse_integer(text); });
  if (numeric && !names_known) {
    constexpr std::int64_t kLimit = std::int64_t{1} << 62;
    for (const std::string& text : labels)
      result.labels.push_back(std::clamp(parse_integer(text).value_or(0), -kLimit, kLimit));
  } else {
    result.classes = classes;
    const std::size_t before = findings.size();
    result.labels = number_classes(labels, result.classes, file.path, findings);
    if (findings.size() > before) return std::nullopt;
  }
  result.store = make_disk_store(std::move(paths), std::move(places));
  return result;
}

}  // namespace snug
