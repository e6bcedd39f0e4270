// Execution plans of cuDNN: real ones by property sheets, and how they are executed, with a library of tests.
#include "backend/cuda/cudnn_products.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "backend/cuda/cudnn_engines.h"
#include "lowering/lowering.h"
#include "planner/device_profile.h"
#include "planner/nets.h"

namespace snug::cudnn {
namespace {

using testing::HasSubstr;

Graph model(const std::string& name) {
  return test::graph_of(load_config("configs/models/" + name + ".toml", {.model_only = true}).model);
}

/// The convolutions of a training step, each once.
std::map<std::string, Convolution> convolutions_of(const std::string& name, DType dtype) {
  const Program program = lower(model(name), {.batch = 32, .dtype = dtype});
  std::map<std::string, Convolution> found;
  for (const Step& step : program.steps) {
    if (!is_product(step.op)) continue;
    const Convolution convolution = convolution_of(program, step, false);
    found.emplace(key_of(convolution), convolution);
  }
  return found;
}

/// A bias and relu behind the sums have engines of their own, as good as those without: by rank, and by what they take.
TEST(CudnnPlans, ComputeBiasAndReluToo) {
  if (!std::string_view(SNUG_SANITIZERS).empty()) GTEST_SKIP() << "cuDNN is not made for sanitizers";
  const Library* library = Library::open();
  if (library == nullptr) GTEST_SKIP() << "cuDNN is not installed here";
  for (const char* profile : {"h100-80gb", "a100-80gb", "rtx4090"}) {
    const DeviceSheet sheet = sheet_of(load_profile(profile));
    Object properties(*library, BACKEND_DEVICEPROP);
    const std::string json = sheet_json(sheet);
    properties.set(ATTR_DEVICEPROP_JSON_REPRESENTATION, TYPE_CHAR, static_cast<std::int64_t>(json.size()), json.data());
    ASSERT_TRUE(properties.finalize());
    for (auto& [key, plain] : convolutions_of("vgg16", DType::bf16)) {
      if (plain.kind != ConvolutionKind::forward) continue;
      for (const bool relu : {false, true}) {
        Convolution convolution = plain;
        convolution.bias = true;
        convolution.relu = relu;
        const Problem problem(*library, convolution, {.properties = &properties});
        ASSERT_TRUE(problem.sound()) << profile << key;
        const std::vector<RankedEngine> ranked = rank_engines(problem, sheet, HEUR_MODE_A);
        ASSERT_FALSE(ranked.empty()) << profile << key;
        const ExecutionPlan plan(problem, ranked.front().configuration);
        ASSERT_TRUE(plan.ready()) << profile << key << ": ready made";
        EXPECT_LE(plan.workspace_bytes(), ranked.front().engine.workspace_bytes) << profile << key;
      }
    }
  }
}

/// The engines that plans name can be made into execution plans, up to those that are compiled when they first run.
TEST(CudnnPlans, AreFinalisedForDevicesThatAreNotHere) {
  if (!std::string_view(SNUG_SANITIZERS).empty()) GTEST_SKIP() << "cuDNN is not made for sanitizers";
  const Library* library = Library::open();
  if (library == nullptr) GTEST_SKIP() << "cuDNN is not installed here";
  for (const char* profile : {"h100-80gb", "rtx4090"}) {
    const DeviceSheet sheet = sheet_of(load_profile(profile));
    Object properties(*library, BACKEND_DEVICEPROP);
    const std::string json = sheet_json(sheet);
    properties.set(ATTR_DEVICEPROP_JSON_REPRESENTATION, TYPE_CHAR, static_cast<std::int64_t>(json.size()), json.data());
    ASSERT_TRUE(properties.finalize());
    std::size_t finalised = 0;
    const auto convolutions = convolutions_of("resnet18-cifar", DType::bf16);
    for (const auto& [key, convolution] : convolutions) {
      const Problem problem(*library, convolution, {.properties = &properties});
      ASSERT_TRUE(problem.sound()) << key;
      for (const RankedEngine& ranked : rank_engines(problem, sheet, HEUR_MODE_A)) {
        const ExecutionPlan plan(problem, ranked.configuration);
        if (!plan.ready()) continue;
        EXPECT_LE(plan.workspace_bytes(), ranked.engine.workspace_bytes) << key << " " << ranked.engine.name;
        ++finalised;
        break;
      }
    }
    EXPECT_EQ(finalised, convolutions.size()) << profile;
  }
}

// ---- a library of tests --------------------------------------------------------------------------------------------

/// What the fake library lists for every convolution, best first: engine numbers with what they need on the device.
struct FakeCudnn {
  std::map<std::int64_t, std::int64_t> workspace_on_device;
  std::vector<std::int64_t> listed;
  int execute_status = 0, create_status = 0;
  // What became of it.
  std::vector<std::int64_t> executed;
  std::vector<std::vector<void*>> addresses;
  int packs = 0;
};
FakeCudnn fake;

struct FakeObject {
  int type = 0;
  std::int64_t engine = 0;
  std::vector<void*> pointers;
};

int create_descriptor(int type, void** object) {
  *object = new FakeObject{.type = type};  // NOLINT(cppcoreguidelines-owning-memory): the library owns by handles
  if (type == BACKEND_VARIANT_PACK) ++fake.packs;
  return 0;
}
int destroy_descriptor(void* object) {
  delete static_cast<FakeObject*>(object);  // NOLINT(cppcoreguidelines-owning-memory)
  return 0;
}
int set_attribute(void* object, int name, int /*type*/, std::int64_t count, const void* values) {
  auto& own = *static_cast<FakeObject*>(object);
  const auto* pointers = static_cast<void* const*>(values);
  if (name == ATTR_VARIANT_PACK_DATA_POINTERS || name == ATTR_VARIANT_PACK_WORKSPACE)
    own.pointers.insert(own.pointers.end(), pointers, pointers + count);
  if (name == ATTR_EXECUTION_PLAN_ENGINE_CONFIG) own.engine = static_cast<const FakeObject*>(*pointers)->engine;
  return 0;
}
int get_attribute(void* object, int name, int /*type*/, std::int64_t wanted, std::int64_t* count, void* values) {
  const auto& own = *static_cast<const FakeObject*>(object);
  const auto number = [&](std::int64_t value) { return *count = 1, *static_cast<std::int64_t*>(values) = value, 0; };
  switch (name) {
    case ATTR_ENGINEHEUR_RESULTS:
      *count = std::ssize(fake.listed);
      for (std::int64_t i = 0; i < std::min(wanted, *count); ++i)
        static_cast<FakeObject*>(static_cast<void**>(values)[i])->engine = fake.listed[static_cast<std::size_t>(i)];
      return 0;
    case ATTR_ENGINECFG_ENGINE:
      *count = 1;
      static_cast<FakeObject*>(static_cast<void**>(values)[0])->engine = own.engine;
      return 0;
    case ATTR_ENGINE_GLOBAL_INDEX: return number(own.engine);
    case ATTR_ENGINECFG_WORKSPACE_SIZE: return number(0);
    case ATTR_EXECUTION_PLAN_WORKSPACE_SIZE: return number(fake.workspace_on_device.at(own.engine));
    default: *count = 0; return 0;
  }
}
int execute(void* /*handle*/, void* plan, void* pack) {
  fake.executed.push_back(static_cast<const FakeObject*>(plan)->engine);
  fake.addresses.push_back(static_cast<const FakeObject*>(pack)->pointers);
  return fake.execute_status;
}

class CudnnProducts : public testing::Test {
 protected:
  CudnnProducts() {
    fake = {};
    library_.create_descriptor = create_descriptor;
    library_.destroy_descriptor = destroy_descriptor;
    library_.finalize = [](void*) { return 0; };
    library_.set_attribute = set_attribute;
    library_.get_attribute = get_attribute;
    library_.get_version = []() -> std::size_t { return 91900; };
    library_.get_last_error = [](char* text, std::size_t) { *text = 0; };
    library_.create_handle = [](void** handle) { return *handle = &fake, fake.create_status; };
    library_.destroy_handle = [](void*) { return 0; };
    library_.set_stream = [](void*, void*) { return 0; };
    library_.execute = execute;
  }
  [[nodiscard]] std::shared_ptr<ProductLibrary> products() const {
    return make_products(library_, {.name = "test", .capability = 80}, [this] {
      return DeviceMemoryState{.free_bytes = free_bytes_, .total_bytes = std::int64_t{1} << 34};
    });
  }
  Library library_;
  std::int64_t free_bytes_ = std::int64_t{1} << 33;
  Convolution convolution_{.dtype = DType::bf16, .x = {1, 8, 8, 8}, .w = {8, 3, 3, 8}, .y = {1, 8, 8, 8}};
};

TEST_F(CudnnProducts, TakeTheEngineOfThePlanWhereTheDeviceNeedsNoMoreForIt) {
  fake.listed = {3, 5};
  fake.workspace_on_device = {{3, 0}, {5, 100}};
  const auto library = products();
  const ProductCall call = library->prepare(convolution_, {"5", 100});
  int x = 0, w = 0, y = 0, scratch = 0;
  call({.x = &x, .w = &w, .y = &y, .workspace = &scratch});
  call({.x = &x, .w = &w, .y = &y, .workspace = &scratch});
  call({.x = &y, .w = &w, .y = &x, .workspace = &scratch});
  EXPECT_THAT(fake.executed, testing::ElementsAre(5, 5, 5));
  EXPECT_THAT(fake.addresses.front(), testing::ElementsAre(&x, &w, &y, &scratch));
  EXPECT_THAT(fake.addresses.back(), testing::ElementsAre(&y, &w, &x, &scratch));
  EXPECT_EQ(fake.packs, 2) << "addresses that were met are not packed again";
}

TEST_F(CudnnProducts, AreGivenTheBias) {
  fake.listed = {5};
  fake.workspace_on_device = {{5, 0}};
  convolution_.bias = convolution_.relu = true;
  const auto library = products();
  int x = 0, w = 0, y = 0, bias = 0, scratch = 0;
  library->prepare(convolution_, {"5", 0})({.x = &x, .w = &w, .y = &y, .bias = &bias, .workspace = &scratch});
  EXPECT_THAT(fake.addresses.front(), testing::ElementsAre(&x, &w, &y, &bias, &scratch));
}

TEST_F(CudnnProducts, TakeTheNextOneWhereTheDeviceNeedsMoreThanWasPlanned) {
  fake.listed = {5, 3};
  fake.workspace_on_device = {{3, 40}, {5, 101}};
  const auto library = products();
  const ProductCall call = library->prepare(convolution_, {"5", 100});
  call({});
  EXPECT_THAT(fake.executed, testing::ElementsAre(3));
}

TEST_F(CudnnProducts, ThatNoneCanComputeNameWhatEachNeeds) {
  fake.listed = {5};
  fake.workspace_on_device = {{5, 4 << 20}};
  const auto library = products();
  try {
    (void)library->prepare(convolution_, {"5", 100});
    FAIL();
  } catch (const DeviceFailure& failure) {
    EXPECT_FALSE(failure.of_memory);
    EXPECT_THAT(failure.what(), HasSubstr("5 4"));
  }
}

TEST_F(CudnnProducts, ThatFailWhereHardlyAnyMemoryIsLeftFailForWantOfIt) {
  fake.listed = {5};
  fake.workspace_on_device = {{5, 0}};
  fake.execute_status = STATUS_EXECUTION_FAILED;
  const auto of_memory = [this] {
    try {
      products()->prepare(convolution_, {"5", 100})({});
    } catch (const DeviceFailure& failure) {
      return failure.of_memory;
    }
    ADD_FAILURE() << "a call that fails is told";
    return false;
  };
  EXPECT_FALSE(of_memory());
  free_bytes_ = 1 << 20;
  EXPECT_TRUE(of_memory());
  fake.create_status = STATUS_NOT_INITIALIZED;
  EXPECT_THROW((void)products(), DeviceFailure);
}

}  // namespace
}  // namespace snug::cudnn
