// NumPy's .npy: a magic string, a version, the length of the header, and a Python dict with descr, fortran_order,
// shape.
#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "base/text.h"
#include "data/array.h"

namespace snug {

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kMaxHeaderBytes = 1U << 20;  // NumPy itself stops at 10,000; no real header comes near
constexpr std::size_t kMaxAxes = 64;

/// What the dict says, the type not yet understood.
struct Header {
  std::string descr;
  bool structured = false;  ///< descr is a list of fields
  bool fortran_order = false;
  std::vector<std::int64_t> shape;
};

/// The same while keys are still to come.
struct Dict {
  std::optional<std::string> descr;
  bool structured = false;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::int64_t>> shape;
};

/// Reads the few Python literals that such a header may hold. The first failure ends the parse; `problem` says why.
class DictParser {
 public:
  explicit DictParser(std::string_view text) : text_(text) {}

  std::optional<Header> parse() {
    Dict dict;
    if (!expect('{')) return std::nullopt;
    while (!accept('}')) {
      const auto key = string();
      if (!key || !expect(':') || !value(*key, dict)) return std::nullopt;
      if (accept(',')) continue;
      if (!expect('}')) return std::nullopt;
      break;
    }
    skip_space();
    if (!text_.empty()) return stop("has text after its closing brace");
    if (!dict.descr) return stop("lacks 'descr'");
    if (!dict.shape) return stop("lacks 'shape'");
    if (!dict.fortran_order) return stop("lacks 'fortran_order'");
    return Header{std::move(*dict.descr), dict.structured, *dict.fortran_order, std::move(*dict.shape)};
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  std::nullopt_t stop(std::string why) {
    if (problem_.empty()) problem_ = std::move(why);
    return std::nullopt;
  }
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\n' || text_.front() == '\t')) {
      text_.remove_prefix(1);
    }
  }
  bool accept(char wanted) {
    skip_space();
    if (text_.empty() || text_.front() != wanted) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool expect(char wanted) {
    if (accept(wanted)) return true;
    stop(fmt::format("has no '{}' where one must be", wanted));
    return false;
  }
  bool word(std::string_view wanted) {
    skip_space();
    if (!text_.starts_with(wanted)) return false;
    text_.remove_prefix(wanted.size());
    return true;
  }
  std::optional<std::string> string() {
    skip_space();
    if (text_.empty() || (text_.front() != '\'' && text_.front() != '"'))
      return stop("has no string where one must be");
    const std::size_t end = text_.find(text_.front(), 1);
    if (end == std::string_view::npos) return stop("has a string without an end");
    std::string value(text_.substr(1, end - 1));
    text_.remove_prefix(end + 1);
    return value;
  }
  std::optional<std::int64_t> integer() {
    skip_space();
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (error == std::errc::result_out_of_range) return stop("has an extent beyond 64 bits");
    if (error != std::errc{}) return stop("has no number where one must be");
    text_.remove_prefix(static_cast<std::size_t>(end - text_.data()));
    if (text_.starts_with('L')) text_.remove_prefix(1);  // Python 2 wrote its long integers so
    return value;
  }
  std::optional<std::vector<std::int64_t>> tuple() {
    if (!expect('(')) return std::nullopt;
    std::vector<std::int64_t> values;
    while (!accept(')')) {
      const auto extent = integer();
      if (!extent) return std::nullopt;
      values.push_back(*extent);
      if (values.size() > kMaxAxes) return stop(fmt::format("has more than {} axes", kMaxAxes));
      if (accept(',')) continue;
      if (!expect(')')) return std::nullopt;
      break;
    }
    return values;
  }
  bool value(std::string_view key, Dict& dict) {
    const bool again = (key == "descr" && dict.descr) || (key == "fortran_order" && dict.fortran_order) ||
                       (key == "shape" && dict.shape);
    if (again) {
      stop(fmt::format("has '{}' twice", key));
      return false;
    }
    if (key == "descr") return descr(dict);
    if (key == "shape") return (dict.shape = tuple()).has_value();
    if (key == "fortran_order") {
      if (word("True")) dict.fortran_order = true;
      if (word("False")) dict.fortran_order = false;
      if (!dict.fortran_order) stop("has a fortran_order that is neither True nor False");
      return dict.fortran_order.has_value();
    }
    stop(fmt::format("has an unknown key '{}'", shorten(key, 20)));
    return false;
  }
  bool descr(Dict& dict) {
    skip_space();
    if (!text_.starts_with('[')) return (dict.descr = string()).has_value();
    // A record array: brackets and strings balance; what is inside does not matter, it is refused.
    dict.structured = true;
    std::size_t depth = 0;
    std::size_t end = 0;
    for (; end < text_.size(); ++end) {
      if (text_[end] == '[') ++depth;
      if (text_[end] == ']' && --depth == 0) break;
    }
    if (end == text_.size()) {
      stop("has a list without an end");
      return false;
    }
    dict.descr = std::string(text_.substr(0, end + 1));
    text_.remove_prefix(end + 1);
    return true;
  }

  std::string_view text_;
  std::string problem_;
};

struct TypeName {
  std::string_view name;
  Element element;
};
constexpr std::array kTypes{
    TypeName{"b1", Element::boolean}, TypeName{"i1", Element::i8},  TypeName{"i2", Element::i16},
    TypeName{"i4", Element::i32},     TypeName{"i8", Element::i64}, TypeName{"u1", Element::u8},
    TypeName{"u2", Element::u16},     TypeName{"u4", Element::u32}, TypeName{"u8", Element::u64},
    TypeName{"f2", Element::f16},     TypeName{"f4", Element::f32}, TypeName{"f8", Element::f64}};

std::optional<Element> element_of(std::string_view descr) {
  if (descr.empty() || std::string_view("<>|=").find(descr.front()) == std::string_view::npos) return std::nullopt;
  const auto* const type = std::ranges::find(kTypes, descr.substr(1), &TypeName::name);
  return type == kTypes.end() ? std::nullopt : std::optional(type->element);
}

Diagnostic not_npy(const FileBytes& file, FileUse use) {
  const std::string kind = describe_content(file.bytes);
  const std::string found = file.bytes.empty() ? "the file is empty"
                            : !kind.empty()    ? fmt::format("it is {}", kind)
                                               : fmt::format("{} bytes without its magic string", file.bytes.size());
  const std::string fix = kind == "an IDX file"     ? "format = \"idx\""
                          : kind == "a gzip file"   ? fmt::format("gunzip {}", file.path)
                          : kind == "a zip archive" ? fmt::format("unzip {}   # and name one .npy of it", file.path)
                                                    : fmt::format("file {}   # and name a .npy file", file.path);
  return data_finding(use, DataFault::wrong_format, file.path,
                      fmt::format("{} is not a NumPy array: {}", brief_name(file.path), found), fix);
}

std::string save_again(const FileBytes& file, std::string_view expression) {
  return fmt::format("np.save(\"{}\", {})", file.path, expression);
}

Diagnostic wrong_type(const FileBytes& file, FileUse use, const Header& header) {
  const bool objects = header.descr.find('O') != std::string::npos;
  const bool strings = header.descr.find_first_of("US") != std::string::npos;
  const std::string_view kind = header.structured ? "a record array"
                                : objects         ? "an array of Python objects"
                                : strings         ? "an array of strings"
                                : header.descr.find_first_of("cGFD") != std::string::npos
                                    ? "an array of complex numbers"
                                    : "of a type that is not read";
  const bool labels = use == FileUse::labels;
  const std::string_view numbers = labels && strings ? "np.unique(y, return_inverse=True)[1]"
                                   : objects         ? labels ? "np.array(y.tolist())" : "np.array(x.tolist())"
                                   : labels          ? "y.astype(np.int64)"
                                                     : "x.astype(np.float32)";
  return data_finding(use, DataFault::element_type, file.path,
                      fmt::format("{} is {} ('{}'); f2, f4, f8, i1–i8, u1–u8 and b1 are read", brief_name(file.path),
                                  kind, shorten(header.descr, 20)),
                      save_again(file, numbers));
}

/// The header's text, and what follows it.
std::optional<std::string_view> header_text(const FileBytes& file, FileUse use, std::span<const std::byte>& data,
                                            Findings& findings) {
  const std::string_view bytes(reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size());
  if (!bytes.starts_with(kMagic)) {
    findings.push_back(not_npy(file, use));
    return std::nullopt;
  }
  const auto truncated = [&](std::size_t needed) {
    findings.push_back(data_finding(use, DataFault::size, file.path,
                                    fmt::format("{} ends within its header: {} bytes are there, {} are needed",
                                                brief_name(file.path), bytes.size(), needed),
                                    fmt::format("rm {}   # and copy or save it again", file.path)));
    return std::nullopt;
  };
  if (bytes.size() < 10) return truncated(10);
  const int version = static_cast<unsigned char>(bytes[6]);
  if (version < 1 || version > 3) {
    findings.push_back(
        data_finding(use, DataFault::wrong_format, file.path,
                     fmt::format("{} has format version {}; 1, 2 and 3 are known", brief_name(file.path), version),
                     save_again(file, "np.ascontiguousarray(x)")));
    return std::nullopt;
  }
  const std::size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start) return truncated(start);
  const std::size_t length = version == 1 ? load<std::uint16_t>(file.bytes.data() + 8, false)
                                          : load<std::uint32_t>(file.bytes.data() + 8, false);
  if (length > bytes.size() - start) return truncated(start + length);
  if (length > kMaxHeaderBytes) {
    findings.push_back(data_finding(use, DataFault::wrong_format, file.path,
                                    fmt::format("{} has a header of {}, and at most {} are read", brief_name(file.path),
                                                format_count(static_cast<std::int64_t>(length)), kMaxHeaderBytes),
                                    save_again(file, "np.ascontiguousarray(x)")));
    return std::nullopt;
  }
  data = file.bytes.subspan(start + length);
  return bytes.substr(start, length);
}

}  // namespace

std::optional<Array> read_npy(FileBytes file, FileUse use, Findings& findings) {
  std::span<const std::byte> data;
  const auto text = header_text(file, use, data, findings);
  if (!text) return std::nullopt;
  DictParser parser(*text);
  const auto parsed = parser.parse();
  if (!parsed) {
    findings.push_back(data_finding(use, DataFault::wrong_format, file.path,
                                    fmt::format("the header of {} {}", brief_name(file.path), parser.problem()),
                                    save_again(file, "np.ascontiguousarray(x)")));
    return std::nullopt;
  }
  const Header& header = *parsed;
  const auto element = header.structured ? std::nullopt : element_of(header.descr);
  if (!element) {
    findings.push_back(wrong_type(file, use, header));
    return std::nullopt;
  }
  const auto payload = payload_bytes(header.shape, *element);
  if (!payload) {
    const bool negative = std::ranges::any_of(header.shape, [](std::int64_t extent) { return extent < 0; });
    findings.push_back(
        data_finding(use, DataFault::extents, file.path,
                     fmt::format("{} has the shape {}: {}", brief_name(file.path), format_extents(header.shape),
                                 negative ? "an extent is negative" : "more bytes than can be counted"),
                     save_again(file, "np.ascontiguousarray(x)")));
    return std::nullopt;
  }
  if (std::cmp_not_equal(data.size(), *payload)) {
    const auto start = static_cast<std::int64_t>(file.bytes.size() - data.size());
    findings.push_back(
        data_finding(use, DataFault::size, file.path,
                     fmt::format("{}: {} of {} need {} bytes with the header, the file has {}", brief_name(file.path),
                                 format_extents(header.shape), to_string(*element), format_count(start + *payload),
                                 format_count(static_cast<std::int64_t>(file.bytes.size()))),
                     fmt::format("rm {}   # and copy or save it again", file.path)));
    return std::nullopt;
  }
  return Array{.file = std::move(file),
               .data = data,
               .element = *element,
               .big_endian = header.descr.front() == '>',
               .fortran_order = header.fortran_order,
               .extents = header.shape};
}

}  // namespace snug
