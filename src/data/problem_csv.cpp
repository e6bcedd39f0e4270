#include "data/problem_csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/ensure.h"
#include "base/text.h"

namespace snug {

namespace {

constexpr std::array<std::string_view, 5> kColumns{"id", "lower", "upper", "size", "offset"};
enum : std::size_t { kId, kLower, kUpper, kSize, kOffset };  // indices of kColumns
constexpr std::size_t kNone = static_cast<std::size_t>(-1);
constexpr std::size_t kMostFindings = 20;  // a file that is something else has a fault in every line
constexpr std::size_t kValueLimit = 40;    // of what a message cites

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t";
  const std::size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

/// What is between the commas; commas in double quotes are text. Nothing when a quote is not closed.
std::optional<std::vector<std::string_view>> split(std::string_view line) {
  std::vector<std::string_view> fields;
  bool quoted = false;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] != ',' || quoted) continue;
    fields.push_back(line.substr(begin, i - begin));
    begin = i + 1;
  }
  fields.push_back(line.substr(begin));
  if (quoted) return std::nullopt;
  return fields;
}

/// A field without spaces around it and without its quotes.
std::string_view value(std::string_view field) {
  field = trim(field);
  const bool quoted = field.size() >= 2 && field.front() == '"' && field.back() == '"';
  return quoted ? trim(field.substr(1, field.size() - 2)) : field;
}

/// What a message cites of a field, on one line.
std::string cite(std::string_view text) {
  std::string cited = shorten(text, kValueLimit);
  std::ranges::replace_if(
      cited, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return cited;
}

class ProblemReader {
 public:
  ProblemReader(FileBytes file, Findings& findings) : findings_(findings) { table_.file = std::move(file); }

  std::optional<ProblemTable> read() {
    const auto& bytes = table_.file.bytes;
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes of a file are its text
    text_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);  // a byte order mark
    if (!read_header()) return std::nullopt;
    while (next_line()) {
      if (!trim(line_).empty()) read_row();
    }
    tell_rest();
    if (faults_ > 0) return std::nullopt;
    return std::move(table_);
  }

 private:
  using Fields = std::vector<std::string_view>;

  bool next_line() {
    if (text_.empty()) return false;
    const std::size_t end = std::min(text_.find('\n'), text_.size());
    line_ = text_.substr(0, end);
    text_.remove_prefix(std::min(end + 1, text_.size()));
    if (line_.ends_with('\r')) line_.remove_suffix(1);
    ++number_;
    return true;
  }

  void fault(DataFault kind, std::string_view at, std::string_view what, std::string fix) {
    if (++faults_ > kMostFindings) return;
    const auto column = at.data() - line_.data() + 1;
    findings_.push_back(data_finding(FileUse::images, kind, fmt::format("{}:{}:{}", table_.file.path, number_, column),
                                     fmt::format("line {}: {}", number_, what), std::move(fix)));
  }

  void tell_rest() {
    if (faults_ <= kMostFindings) return;
    findings_.push_back(data_finding(FileUse::images, DataFault::table_row, table_.file.path,
                                     fmt::format("{} more faults like these follow", faults_ - kMostFindings),
                                     "mend the lines above and run it again"));
  }

  bool read_header() {
    const std::string example = "id,lower,upper,size";
    while (next_line() && trim(line_).empty()) {}
    if (trim(line_).empty()) {
      findings_.push_back(data_finding(
          FileUse::images, DataFault::table_header, table_.file.path + ":1:1",
          fmt::format("{} is empty: line 1 must name the columns", brief_name(table_.file.path)), example));
      return false;
    }
    const std::optional<Fields> fields = split(line_);
    if (!fields) {
      fault(DataFault::table_header, line_, "a double quote is not closed in the header", example);
      return false;
    }
    table_.header = line_;
    width_ = fields->size();
    for (std::size_t i = 0; i < width_; ++i) take_column((*fields)[i], i);
    for (std::size_t c = kId; c < kOffset; ++c) {
      if (columns_[c] == kNone) tell_missing(kColumns[c], *fields);
    }
    if (columns_[kOffset] != kNone) table_.offset_column = columns_[kOffset];
    return faults_ == 0;
  }

  void take_column(std::string_view field, std::size_t index) {
    const std::string_view name = value(field);
    const auto known = std::ranges::find(kColumns, name);
    if (known == kColumns.end()) return;
    std::size_t& column = columns_[static_cast<std::size_t>(known - kColumns.begin())];
    if (column != kNone) {
      fault(DataFault::table_header, field,
            fmt::format("the header names the column {} twice, as number {} and {}", name, column + 1, index + 1),
            fmt::format("name column {} otherwise, as in {}_2", index + 1, name));
    }
    column = index;
  }

  void tell_missing(std::string_view column, const Fields& fields) {
    std::vector<std::string> names;
    for (const std::string_view field : fields) names.emplace_back(value(field));
    const auto near = nearest(column, names);
    fault(DataFault::table_header, line_, fmt::format("the header has no column {}; it has: {}", column, cite(line_)),
          near ? fmt::format("write {} for {}", column, cite(*near)) : "id,lower,upper,size");
  }

  void read_row() {
    const std::size_t before = faults_;
    const std::optional<Fields> fields = split(line_);
    if (!fields) {
      fault(DataFault::table_row, line_, "a double quote is not closed", "close it on the same line: \"b1\"");
      return;
    }
    if (fields->size() != width_) {
      fault(
          DataFault::table_row, line_,
          fmt::format("the row has {} field{}, the header {}", fields->size(), fields->size() == 1 ? "" : "s", width_),
          fmt::format("as many fields as in: {}", cite(table_.header)));
      return;
    }
    take_id((*fields)[columns_[kId]]);
    const auto lower = number(*fields, kLower, "0");
    const auto upper = number(*fields, kUpper, "1");
    const auto size = number(*fields, kSize, "256");
    if (lower && upper && *lower >= *upper) {
      fault(DataFault::table_number, (*fields)[columns_[kUpper]],
            fmt::format("lower is {} and upper {}: a buffer lives from lower until before upper", *lower, *upper),
            mended(*fields, kUpper, std::to_string(*lower < kMost ? *lower + 1 : kMost)));
    }
    if (size) take_size(*fields, *size);
    if (faults_ != before || !lower || !upper || !size) return;
    table_.buffers.push_back({.size_bytes = *size, .life = {.first = *lower, .last = *upper}});
    table_.rows.push_back(line_);
  }

  void take_id(std::string_view field) {
    const std::string_view id = value(field);
    if (id.empty()) {
      fault(DataFault::table_row, field, "the id is empty", fmt::format("b{}", number_));
      return;
    }
    const auto [known, is_new] = ids_.emplace(id, number_);
    if (is_new) return;
    fault(DataFault::table_row, field, fmt::format("the id {} is that of line {} already", cite(id), known->second),
          fmt::format("{}_{}", cite(id), number_));
  }

  void take_size(const Fields& fields, std::int64_t size) {
    const std::string_view field = fields[columns_[kSize]];
    if (size < 0) {
      fault(DataFault::table_number, field, fmt::format("size is {}, and a buffer has at least 0 bytes", size),
            mended(fields, kSize, size == std::numeric_limits<std::int64_t>::min() ? "0" : std::to_string(-size)));
    } else if (size > kMost - total_) {
      fault(DataFault::table_number, field,
            fmt::format("with size {} all sizes together exceed 64 bits ({})", size, kMost),
            mended(fields, kSize, std::to_string(kMost - total_)));
      total_ = 0;  // told once, not for every row that follows
    } else {
      total_ += size;
    }
  }

  std::optional<std::int64_t> number(const Fields& fields, std::size_t column, const std::string& example) {
    const std::string_view field = fields[columns_[column]];
    const std::string_view text = value(field);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool whole = end == text.data() + text.size();
    if (error == std::errc{} && whole) return number;
    const bool overflow = error == std::errc::result_out_of_range && whole;
    fault(DataFault::table_number, field,
          overflow ? fmt::format("{} is {}, which exceeds 64 bits ({})", kColumns[column], cite(text), kMost)
                   : fmt::format("{} is '{}', and a whole number is expected", kColumns[column], cite(text)),
          mended(fields, column, overflow ? std::to_string(kMost) : example));
    return std::nullopt;
  }

  /// The row with another value in one column.
  [[nodiscard]] std::string mended(const Fields& fields, std::size_t column, std::string_view by) const {
    std::string row;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (i > 0) row += ',';
      row += i == columns_[column] ? by : trim(fields[i]);
    }
    constexpr std::size_t kRowLimit = 120;
    return row.size() <= kRowLimit ? row : fmt::format("{} = {}", kColumns[column], by);
  }

  static constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

  Findings& findings_;
  ProblemTable table_;
  std::string_view text_, line_;
  std::size_t number_ = 0;  // of the line, from 1
  std::array<std::size_t, kColumns.size()> columns_{kNone, kNone, kNone, kNone, kNone};
  std::size_t width_ = 0, faults_ = 0;
  std::unordered_map<std::string_view, std::size_t> ids_;  // and the line of each
  std::int64_t total_ = 0;
};

}  // namespace

std::optional<ProblemTable> read_problem(FileBytes file, Findings& findings) {
  return ProblemReader(std::move(file), findings).read();
}

std::string solution_csv(const ProblemTable& table, std::span<const std::int64_t> offsets) {
  ensure(offsets.size() == table.rows.size(), "an offset for every row");
  std::string text(table.header);
  if (!table.offset_column) text += ",offset";
  text += '\n';
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    if (!table.offset_column) {
      text += fmt::format("{},{}\n", table.rows[i], offsets[i]);
      continue;
    }
    const auto fields = split(table.rows[i]);
    ensure(fields.has_value(), "a row that was read can be split");
    for (std::size_t f = 0; f < fields->size(); ++f) {
      if (f > 0) text += ',';
      text += f == *table.offset_column ? std::to_string(offsets[i]) : std::string((*fields)[f]);
    }
    text += '\n';
  }
  return text;
}

}  // namespace snug
