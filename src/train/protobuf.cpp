#include "train/protobuf.h"

#include <bit>
#include <cstring>

namespace snug {

namespace {

constexpr unsigned kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5;

static_assert(std::endian::native == std::endian::little, "numbers are copied as they lie in memory");

template <class T>
void append_raw(std::string& to, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  to.append(raw, sizeof value);
}

}  // namespace

void ProtoMessage::varint(std::uint64_t value) {
  for (; value >= 128; value >>= 7) data_ += static_cast<char>(value | 128);
  data_ += static_cast<char>(value);
}

void ProtoMessage::key(int field, unsigned wire) { varint(static_cast<std::uint64_t>(field) << 3 | wire); }

ProtoMessage& ProtoMessage::integer(int field, std::int64_t value) {
  key(field, kVarint);
  varint(static_cast<std::uint64_t>(value));
  return *this;
}

ProtoMessage& ProtoMessage::real(int field, double value) {
  key(field, kFixed64);
  append_raw(data_, value);
  return *this;
}

ProtoMessage& ProtoMessage::single(int field, double value) {
  key(field, kFixed32);
  append_raw(data_, static_cast<float>(value));
  return *this;
}

ProtoMessage& ProtoMessage::bytes(int field, std::string_view value) {
  key(field, kLength);
  varint(value.size());
  data_ += value;
  return *this;
}

ProtoMessage& ProtoMessage::reals(int field, std::span<const double> values) {
  key(field, kLength);
  varint(values.size_bytes());
  for (const double value : values) append_raw(data_, value);
  return *this;
}

}  // namespace snug
