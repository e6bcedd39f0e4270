// Reading JSON that a run wrote and that may have been cut or edited since.
#pragma once

#include <cstdint>
#include <stdexcept>

namespace snug {

/// A whole number from `least` to 2^53, which no count of ours comes near: what is computed with it does not overflow.
/// Throws std::exception for other numbers (1.0, too) and whatever else.
template <class Json>
[[nodiscard]] std::int64_t whole_number(const Json& json, std::int64_t least = 0) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;
  const std::int64_t value = json.template get_ref<const typename Json::number_integer_t&>();
  if (value < least || value > kMost) throw std::out_of_range("no count");
  return value;
}

}  // namespace snug
