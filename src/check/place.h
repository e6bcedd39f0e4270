// Where a finding is, taken apart.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>

namespace snug {

/// "file:line:column" or "file[record]" taken apart; what is missing is 0.
struct Place {
  std::string_view file;
  std::int64_t first = 0, second = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

[[nodiscard]] Place place_of(std::string_view where);

}  // namespace snug
