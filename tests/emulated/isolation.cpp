#include "emulated/isolation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/ensure.h"

namespace snug::test {

namespace {

/// An operand's bytes: `rows` runs, a pitch apart.
struct Region {
  Access access = Access::in;
  std::int64_t rows = 1, row_bytes = 0, pitch_bytes = 0;
};

Region region_of(const TensorInfo& tensor, Access access) {
  if (is_packed(tensor) || channel_pitch(tensor) == 0)
    return {.access = access, .row_bytes = extent_bytes(tensor), .pitch_bytes = 0};
  const std::int64_t width = tensor.shape.back(), element = size_bytes(tensor.dtype);
  return {.access = access,
          .rows = tensor.shape.elements() / width,
          .row_bytes = width * element,
          .pitch_bytes = channel_pitch(tensor) * element};
}

/// The device's memory before a step, and what must be there behind it.
class Snapshot {
 public:
  explicit Snapshot(EmulatedDevice& device) {
    for (const auto& [begin, bytes] : device.allocations()) {
      Part& part = parts_[begin];
      part.saved.assign(begin, begin + bytes);
      std::memset(begin, 0xFF, part.saved.size());
    }
  }
  void show(std::byte* at, std::int64_t bytes) {
    const auto [part, offset] = find(at);
    std::memcpy(at, part.saved.data() + offset, static_cast<std::size_t>(bytes));
  }
  void expect_now() {
    for (auto& [begin, part] : parts_) part.expected.assign(begin, begin + part.saved.size());
  }
  /// These bytes may have changed; `keep`: they are results.
  void accept(std::byte* at, std::int64_t bytes, bool keep) {
    const auto [part, offset] = find(at);
    std::memcpy(part.expected.data() + offset, at, static_cast<std::size_t>(bytes));
    if (keep) std::memcpy(part.saved.data() + offset, at, static_cast<std::size_t>(bytes));
  }
  void check_and_restore(const std::string& step) const {
    for (const auto& [begin, part] : parts_) {
      const auto differ = std::mismatch(part.expected.begin(), part.expected.end(), begin);
      if (differ.first != part.expected.end())
        throw std::runtime_error(fmt::format("{} writes beside its operands, at byte {} of {}", step,
                                             differ.first - part.expected.begin(), part.expected.size()));
      std::memcpy(begin, part.saved.data(), part.saved.size());
    }
  }

 private:
  struct Part {
    std::vector<std::byte> saved, expected;
  };
  [[nodiscard]] std::pair<Part&, std::size_t> find(std::byte* at) {
    auto next = parts_.upper_bound(at);
    ensure(next != parts_.begin(), "an operand lies in memory of the device");
    --next;
    return {next->second, static_cast<std::size_t>(at - next->first)};
  }
  std::map<std::byte*, Part> parts_;
};

template <class Visit>
void for_each_row(const Region& region, void* operand, const Visit& visit) {
  auto* at = static_cast<std::byte*>(operand);
  for (std::int64_t row = 0; row < region.rows; ++row) visit(at + row * region.pitch_bytes, region.row_bytes);
}

class IsolatingBackend final : public Backend {
 public:
  IsolatingBackend(std::unique_ptr<Backend> inner, std::shared_ptr<EmulatedDevice> device)
      : inner_(std::move(inner)), device_(std::move(device)) {}

  [[nodiscard]] std::string_view name() const override { return inner_->name(); }
  [[nodiscard]] bool fuses(const Program& program, const Step& step) const override {
    return inner_->fuses(program, step);
  }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    std::vector<Region> regions;
    regions.reserve(step.operands.size());
    for (const Operand& operand : step.operands) regions.push_back(region_of(program[operand.tensor], operand.access));
    PreparedStep prepared = inner_->prepare(program, step);
    prepared.run = [regions = std::move(regions), run = prepared.run, scratch = prepared.workspace_bytes,
                    device = device_, name = std::string(to_string(step.op))](const StepArguments& a) {
      Snapshot snapshot(*device);
      for (std::size_t i = 0; i < regions.size(); ++i) {
        if (regions[i].access == Access::out) continue;
        for_each_row(regions[i], a.operands[i], [&](auto at, auto bytes) { snapshot.show(at, bytes); });
      }
      snapshot.expect_now();
      run(a);
      for (std::size_t i = 0; i < regions.size(); ++i) {
        if (regions[i].access == Access::in) continue;
        for_each_row(regions[i], a.operands[i], [&](auto at, auto bytes) { snapshot.accept(at, bytes, true); });
      }
      if (scratch > 0) snapshot.accept(static_cast<std::byte*>(a.workspace), scratch, false);
      snapshot.check_and_restore(name);
    };
    return prepared;
  }

 private:
  std::unique_ptr<Backend> inner_;
  std::shared_ptr<EmulatedDevice> device_;
};

}  // namespace

std::unique_ptr<Backend> make_isolating_backend(std::unique_ptr<Backend> inner,
                                                std::shared_ptr<EmulatedDevice> device) {
  return std::make_unique<IsolatingBackend>(std::move(inner), std::move(device));
}

}  // namespace snug::test
