#include "config/findings.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/ensure.h"

namespace snug::config {

namespace {

constexpr std::size_t kMessageLimit = 160;  // the contract's bound on `what`
constexpr std::size_t kQuoteLimit = 32;     // leaves room for both sides of a message

}  // namespace

std::string shortened(std::string_view text, std::size_t limit) {
  std::string out(text.substr(0, limit));
  if (text.size() > limit) {
    out.resize(limit - 3);
    // Never end inside a UTF-8 sequence: drop continuation bytes and their head.
    const std::size_t head = out.find_last_not_of(
        "\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
        "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f"
        "\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf"
        "\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe\xbf");
    const bool inside = head != std::string::npos && (static_cast<unsigned char>(out[head]) & 0x80U) != 0;
    if (inside) out.resize(head);
    out += "...";
  }
  std::ranges::replace_if(
      out, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, '?');
  return out;
}

std::string in_quotes(std::string_view text) { return '"' + shortened(text, kQuoteLimit) + '"'; }

void Findings::source(const std::string& file) {
  if (std::ranges::find(sources_, file) == sources_.end()) sources_.push_back(file);
}

void Findings::error(std::string_view code, const Position& where, std::string_view what, std::string fix) {
  ++errors_;
  add(code, Severity::error, where, what, std::move(fix));
}

void Findings::warning(std::string_view code, const Position& where, std::string_view what, std::string fix) {
  add(code, Severity::warning, where, what, std::move(fix));
}

void Findings::add(std::string_view code, Severity severity, const Position& where, std::string_view what,
                   std::string fix) {
  ensure(!fix.empty(), "a finding needs a fix");
  source(where.file);
  const auto place = std::ranges::find(sources_, where.file) - sources_.begin();
  entries_.push_back({.source = static_cast<std::size_t>(place),
                      .where = where,
                      .finding = {.code = std::string(code),
                                  .severity = severity,
                                  .where = to_string(where),
                                  .what = shortened(what, kMessageLimit),
                                  .fix = std::move(fix)}});
}

std::vector<Diagnostic> Findings::take() {
  std::ranges::stable_sort(
      entries_, {}, [](const Entry& entry) { return std::tuple(entry.source, entry.where.line, entry.where.column); });
  std::vector<Diagnostic> out;
  out.reserve(entries_.size());
  for (Entry& entry : entries_) out.push_back(std::move(entry.finding));
  entries_.clear();
  errors_ = 0;
  return out;
}

}  // namespace snug::config
