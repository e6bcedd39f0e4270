// Messages in protobuf's wire format, written field by field: https://protobuf.dev/programming-guides/encoding
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace snug {

/// Fields stand in the order in which they are added; what repeats is added again.
class ProtoMessage {
 public:
  ProtoMessage& integer(int field, std::int64_t value);    ///< int32, int64, enums, bool
  ProtoMessage& real(int field, double value);             ///< double
  ProtoMessage& single(int field, double value);           ///< float
  ProtoMessage& bytes(int field, std::string_view value);  ///< string, bytes
  ProtoMessage& message(int field, const ProtoMessage& value) { return bytes(field, value.data_); }
  ProtoMessage& reals(int field, std::span<const double> values);  ///< repeated double, packed

  [[nodiscard]] const std::string& data() const { return data_; }

 private:
  void varint(std::uint64_t value);
  void key(int field, unsigned wire);

  std::string data_;
};

}  // namespace snug
