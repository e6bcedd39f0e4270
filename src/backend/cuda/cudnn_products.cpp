#include "backend/cuda/cudnn_products.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "backend/cuda/cudnn_engines.h"
#include "base/text.h"

namespace snug::cudnn {

namespace {

/// Less than this free, and a call that failed for no stated reason failed for want of memory.
constexpr std::int64_t kHardlyAny = 64 << 20;

bool means_memory(int status, std::int64_t free_bytes) {
  if (status == STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED ||
      status == STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED)
    return true;
  constexpr int kKind = 1000;  // the first digit is the kind of failure
  const int kind = status / kKind * kKind;
  const bool may = status == STATUS_NOT_INITIALIZED || kind == STATUS_INTERNAL_ERROR || kind == STATUS_EXECUTION_FAILED;
  return may && free_bytes < kHardlyAny;
}

/// cuDNN's handle, and what all calls share.
class Session {
 public:
  Session(const Library& library, DeviceSheet sheet, std::function<DeviceMemoryState()> memory)
      : library_(library), sheet_(std::move(sheet)), memory_(std::move(memory)) {
    check(library_.create_handle(&handle_), "cudnnCreate");
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (handle_ != nullptr) library_.destroy_handle(handle_);
  }

  [[nodiscard]] const Library& library() const { return library_; }
  [[nodiscard]] const DeviceSheet& sheet() const { return sheet_; }
  [[nodiscard]] void* handle() const { return handle_; }

  void execute(const ExecutionPlan& plan, const Object& pack, void* stream) {
    if (std::exchange(stream_, stream) != stream) check(library_.set_stream(handle_, stream), "cudnnSetStream");
    check(library_.execute(handle_, plan.handle(), pack.handle()), "cudnnBackendExecute");
  }
  /// Then every engine may say no, whatever was asked.
  [[nodiscard]] bool short_of_memory() const { return memory_().free_bytes < kHardlyAny; }
  [[noreturn]] void fail(int status, std::string_view call) const {
    const bool memory = means_memory(status, memory_().free_bytes);
    throw DeviceFailure(fmt::format("{}{}: status {} {}", memory ? "out of memory, " : "", call, status,
                                    library_.last_error().substr(0, 60)),
                        memory);
  }

 private:
  void check(int status, std::string_view call) const {
    if (status != 0) fail(status, call);
  }

  const Library& library_;
  DeviceSheet sheet_;
  std::function<DeviceMemoryState()> memory_;
  void* handle_ = nullptr;
  void* stream_ = nullptr;  ///< the null stream is where a handle begins
};

/// A convolution ready to run: its plan with what that was made of, and for every set of addresses that it met the pack
/// that names them.
class Execution {
 public:
  Execution(std::shared_ptr<Session> session, std::shared_ptr<const Problem> problem, Object configuration)
      : session_(std::move(session)),
        problem_(std::move(problem)),
        configuration_(std::move(configuration)),
        plan_(*problem_, configuration_) {}

  [[nodiscard]] const ExecutionPlan& plan() const { return plan_; }
  void run(const ProductArguments& a) { session_->execute(plan_, pack_of(a), a.stream); }

 private:
  using Addresses = std::array<void*, 5>;

  /// Packs are made when a program first runs; later runs find them.
  const Object& pack_of(const ProductArguments& a) {
    const Addresses addresses{a.x, a.w, a.y, a.bias, a.workspace};
    const auto known = std::ranges::find(packs_, addresses, &std::pair<Addresses, Object>::first);
    if (known != packs_.end()) return known->second;
    Object pack(session_->library(), BACKEND_VARIANT_PACK);
    constexpr std::array kIds{kTensorX, kTensorW, kTensorY, kTensorBias};
    const std::size_t tensors = problem_->convolution().bias ? kIds.size() : kIds.size() - 1;
    pack.set(ATTR_VARIANT_PACK_UNIQUE_IDS, std::span(kIds).first(tensors));
    pack.set(ATTR_VARIANT_PACK_DATA_POINTERS, TYPE_VOID_PTR, std::span<void* const>(addresses).first(tensors));
    pack.set(ATTR_VARIANT_PACK_WORKSPACE, TYPE_VOID_PTR, std::span<void* const>(addresses).last(1));
    if (!pack.finalize()) session_->fail(STATUS_INTERNAL_ERROR, "the addresses of a convolution");
    packs_.emplace_back(addresses, std::move(pack));
    return packs_.back().second;
  }

  std::shared_ptr<Session> session_;
  std::shared_ptr<const Problem> problem_;
  Object configuration_;
  ExecutionPlan plan_;
  std::vector<std::pair<Addresses, Object>> packs_;
};

class CudnnProducts final : public ProductLibrary {
 public:
  explicit CudnnProducts(std::shared_ptr<Session> session) : session_(std::move(session)) {}

  [[nodiscard]] ProductCall prepare(const Convolution& convolution, const Engine& engine) override {
    const auto problem =
        std::make_shared<const Problem>(session_->library(), convolution, Target{.handle = session_->handle()});
    std::shared_ptr<Execution> execution = choose(problem, engine);
    return [execution = std::move(execution)](const ProductArguments& arguments) { execution->run(arguments); };
  }

 private:
  /// The plan names the engine; what counts is that its scratch, which only the device knows, keeps to what was
  /// planned.
  [[nodiscard]] std::shared_ptr<Execution> choose(const std::shared_ptr<const Problem>& problem,
                                                  const Engine& engine) const {
    std::string refused;
    for (const HeuristicMode mode : {HEUR_MODE_A, HEUR_MODE_FALLBACK}) {
      std::vector<RankedEngine> ranked =
          problem->sound() ? rank_engines(*problem, session_->sheet(), mode) : std::vector<RankedEngine>();
      for (const bool as_planned : {true, false}) {
        for (RankedEngine& candidate : ranked) {
          if ((candidate.engine.name == engine.name) != as_planned) continue;
          auto execution = std::make_shared<Execution>(session_, problem, std::move(candidate.configuration));
          const ExecutionPlan& plan = execution->plan();
          if (plan.ready() && plan.workspace_bytes() <= engine.workspace_bytes) return execution;
          if (refused.size() < kMostText)
            refused += fmt::format(" {} {}", candidate.engine.name,
                                   plan.ready() ? format_bytes(plan.workspace_bytes()) : "refused");
        }
      }
    }
    const bool memory = session_->short_of_memory();
    throw DeviceFailure(fmt::format("{}no engine keeps to {} of scratch:{}", memory ? "out of memory, " : "",
                                    format_bytes(engine.workspace_bytes), refused),
                        memory);
  }
  static constexpr std::size_t kMostText = 80;

  std::shared_ptr<Session> session_;
};

}  // namespace

ExecutionPlan::ExecutionPlan(const Problem& problem, const Object& configuration)
    : object_(problem.library(), BACKEND_EXECUTION_PLAN) {
  const Target& target = problem.target();
  if (target.handle != nullptr) {
    object_.set(ATTR_EXECUTION_PLAN_HANDLE, TYPE_HANDLE, 1, &target.handle);
  } else {
    object_.set(ATTR_EXECUTION_PLAN_DEVICEPROP, *target.properties);
  }
  object_.set(ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
  if (!object_.finalize()) return;
  const auto bytes = object_.integer(ATTR_EXECUTION_PLAN_WORKSPACE_SIZE);
  ready_ = bytes && *bytes >= 0;
  workspace_bytes_ = bytes.value_or(0);
}

std::shared_ptr<ProductLibrary> make_products(const Library& library, const DeviceSheet& sheet,
                                              std::function<DeviceMemoryState()> memory) {
  return std::make_shared<CudnnProducts>(std::make_shared<Session>(library, sheet, std::move(memory)));
}

}  // namespace snug::cudnn
