#include "train/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_set>

namespace snug {

namespace {

/// Receives the header's tokens. Every function returns false to stop at a problem.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  SafetensorsHeader result;

  bool null() override { return stop("null"); }
  bool boolean(bool) override { return stop("true or false"); }
  bool number_float(number_float_t, const string_t& text) override { return stop("the number " + text); }
  bool number_integer(number_integer_t value) override { return stop(fmt::format("the number {}", value)); }
  bool binary(binary_t&) override { return stop("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ == Place::shape) {
      if (tensor().shape.size() == kMaxRankRead) return problem(fmt::format("has more than {} extents", kMaxRankRead));
      tensor().shape.push_back(value);
      return true;
    }
    if (place_ != Place::offsets) return stop(fmt::format("the number {}", value));
    if (offsets_ == 2) return problem("has more than 2 data_offsets");
    (offsets_++ == 0 ? tensor().begin : tensor().end) = value;
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::metadata) {
      if (!result.metadata.emplace(key_, text).second)
        return fail(fmt::format("__metadata__ has {} twice", short_name(key_)));
      return true;
    }
    if (place_ != Place::tensor || key_ != "dtype") return stop("a string");
    tensor().dtype = text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
      return true;
    }
    if (place_ != Place::top) return stop("an object");
    place_ = key_ == "__metadata__" ? Place::metadata : Place::tensor;
    if (place_ == Place::tensor) {
      result.tensors.push_back({.name = key_, .dtype = {}, .shape = {}});
      seen_.clear();
      offsets_ = 0;
    }
    return true;
  }

  bool key(string_t& text) override {
    key_ = text;
    if (place_ == Place::top && !names_.insert(text).second)
      return fail(fmt::format("the header has {} twice", short_name(text)));
    if (place_ != Place::tensor) return true;
    if (text != "dtype" && text != "shape" && text != "data_offsets")
      return fail(fmt::format("tensor {} has an unknown key {}", short_name(tensor().name), short_name(text)));
    if (std::ranges::find(seen_, text) != seen_.end())
      return fail(fmt::format("tensor {} has {} twice", short_name(tensor().name), short_name(text)));
    seen_.push_back(text);
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor && seen_.size() != 3)
      return problem(fmt::format("has {} of the keys dtype, shape and data_offsets", seen_.size()));
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::tensor && key_ == "shape") {
      place_ = Place::shape;
      return true;
    }
    if (place_ != Place::tensor || key_ != "data_offsets") return stop("an array");
    place_ = Place::offsets;
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offsets_ != 2)
      return problem(fmt::format("has {} data_offsets instead of 2", offsets_));
    place_ = Place::tensor;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return fail(fmt::format("the header is no JSON at its byte {}", position));
  }

 private:
  enum class Place { outside, top, metadata, tensor, shape, offsets };
  static constexpr std::size_t kMaxRankRead = 16;  // no tensor of a network comes near it

  HeaderTensor& tensor() { return result.tensors.back(); }
  bool fail(std::string what) {
    result.problem = std::move(what);
    return false;
  }
  /// A problem of the current tensor.
  bool problem(const std::string& what) { return fail(fmt::format("tensor {} {}", short_name(tensor().name), what)); }
  bool stop(std::string_view what) {
    return fail(fmt::format("the header has {} at {}, where it has no place", what.substr(0, 40), short_name(key_)));
  }

  Place place_ = Place::outside;
  std::string key_;
  std::unordered_set<std::string> names_;
  std::vector<std::string> seen_;  // keys of the current tensor
  std::size_t offsets_ = 0;
};

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text) {
  HeaderReader reader;
  nlohmann::json::sax_parse(text, &reader);
  return std::move(reader.result);
}

std::string short_name(std::string_view name) {
  constexpr std::size_t kShown = 48;
  if (name.size() <= kShown) return fmt::format("\"{}\"", name);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0) == 0x80) --end;  // not inside a UTF-8 character
  return fmt::format("\"{}…\"", name.substr(0, end));
}

}  // namespace snug
