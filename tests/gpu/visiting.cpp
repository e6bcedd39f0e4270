#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/round.h"
#include "gpu/gpu.h"

namespace snug::gpu_test {

namespace {

constexpr std::int64_t kGuardBytes = 256;
constexpr std::uint8_t kGuard = 0xA5;

/// Bytes of this process that operands lie in, whole storages: operands that overlap share one.
struct Range {
  std::byte* begin = nullptr;
  std::byte* end = nullptr;
};

std::vector<Range> merged(std::vector<Range> ranges) {
  std::ranges::sort(ranges, {}, &Range::begin);
  std::vector<Range> whole;
  for (const Range& range : ranges) {
    if (!whole.empty() && range.begin < whole.back().end) {
      whole.back().end = std::max(whole.back().end, range.end);
    } else {
      whole.push_back(range);
    }
  }
  return whole;
}

/// Memory of the device with guards before and behind, at the same place within 256 bytes as `host`.
class Visitor {
 public:
  Visitor(Device& device, const Range& host) : device_(device), host_(host) {
    const auto skew = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(host.begin) % 256);
    lead_ = kGuardBytes + skew;
    whole_ = round_up(lead_ + bytes() + kGuardBytes, 256);
    memory_ = device_.allocate(whole_);
    device_.fill(memory_, kGuard, whole_);
    device_.copy_to_device(memory_ + lead_, host_.begin, bytes());
  }
  Visitor(Visitor&& other) noexcept
      : device_(other.device_),
        host_(other.host_),
        lead_(other.lead_),
        whole_(other.whole_),
        memory_(std::exchange(other.memory_, nullptr)) {}
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;
  Visitor& operator=(Visitor&&) = delete;
  ~Visitor() {
    if (memory_ != nullptr) device_.release(memory_);
  }

  [[nodiscard]] bool holds(const void* at) const { return at >= host_.begin && at < host_.end; }
  [[nodiscard]] void* address(void* at) const { return memory_ + lead_ + (static_cast<std::byte*>(at) - host_.begin); }
  /// What came of it goes back. Throws where a guard was written over.
  void return_home(std::string_view step) const {
    std::vector<std::byte> now(static_cast<std::size_t>(whole_));
    device_.copy_to_host(now.data(), memory_, whole_);
    device_.wait();
    for (std::int64_t i = 0; i < whole_; ++i) {
      if (i == lead_) i += bytes();
      if (i < whole_ && now[static_cast<std::size_t>(i)] != std::byte{kGuard})
        throw std::runtime_error(
            fmt::format("{} writes beside an operand, at byte {} of {}", step, i - lead_, bytes()));
    }
    std::memcpy(host_.begin, now.data() + lead_, static_cast<std::size_t>(bytes()));
  }

 private:
  [[nodiscard]] std::int64_t bytes() const { return host_.end - host_.begin; }

  Device& device_;
  Range host_;
  std::int64_t lead_ = 0, whole_ = 0;
  std::byte* memory_ = nullptr;
};

class VisitingBackend final : public Backend {
 public:
  VisitingBackend(std::unique_ptr<Backend> inner, std::shared_ptr<Device> device)
      : inner_(std::move(inner)), device_(std::move(device)) {}

  [[nodiscard]] std::string_view name() const override { return inner_->name(); }

  [[nodiscard]] PreparedStep prepare(const Program& program, const Step& step) override {
    std::vector<std::int64_t> bytes;
    for (const Operand& operand : step.operands) bytes.push_back(extent_bytes(program[operand.tensor]));
    PreparedStep prepared = inner_->prepare(program, step);
    prepared.run = [bytes, run = prepared.run, scratch = prepared.workspace_bytes, device = device_,
                    name = std::string(to_string(step.op))](const StepArguments& a) {
      std::vector<Range> ranges;
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        auto* const begin = static_cast<std::byte*>(a.operands[i]);
        if (bytes[i] > 0) ranges.push_back({begin, begin + bytes[i]});
      }
      // Scratch is what a step asked for and begins as rubbish.
      auto* const workspace = static_cast<std::byte*>(a.workspace);
      if (scratch > 0) ranges.push_back({workspace, workspace + scratch});
      std::vector<Visitor> visitors;
      for (const Range& range : merged(std::move(ranges))) visitors.emplace_back(*device, range);
      const auto on_device = [&](void* at) -> void* {
        const auto found = std::ranges::find_if(visitors, [&](const Visitor& visitor) { return visitor.holds(at); });
        return found == visitors.end() ? nullptr : found->address(at);
      };
      std::vector<void*> operands(bytes.size());
      for (std::size_t i = 0; i < bytes.size(); ++i) operands[i] = on_device(a.operands[i]);
      run({.operands = operands.data(),
           .workspace = scratch > 0 ? on_device(workspace) : nullptr,
           .stream = device->stream(kMainQueue)});
      if (const auto failure = device->take_failure()) throw std::runtime_error(name + ": " + failure->what());
      for (const Visitor& visitor : visitors) visitor.return_home(name);
    };
    return prepared;
  }

 private:
  std::unique_ptr<Backend> inner_;
  std::shared_ptr<Device> device_;
};

}  // namespace

std::unique_ptr<Backend> make_visiting_backend(std::unique_ptr<Backend> inner, std::shared_ptr<Device> device) {
  return std::make_unique<VisitingBackend>(std::move(inner), std::move(device));
}

}  // namespace snug::gpu_test
