// Checkpoints, states and run folders that were cut, flipped or made up: every command that reads them ends with a
// finding, in little memory.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <zlib.h>

#include <fmt/format.h>

#include "base/file.h"
#include "cli/program.h"

namespace snug {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// A safetensors file as its parts.
struct Parts {
  Json header;
  std::string data;
};

Parts parts_of(const std::string& bytes) {
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  return {.header = Json::parse(bytes.substr(8, length)), .data = bytes.substr(8 + length)};
}

std::string whole(const Parts& parts) {
  std::string text = parts.header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(sizeof length, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  return bytes + text + parts.data;
}

/// Changes a text of the metadata that is JSON itself.
void edit(Parts& parts, const char* key, const std::function<void(Json&)>& change) {
  std::string& text = parts.header["__metadata__"][key].get_ref<std::string&>();
  Json json = Json::parse(text);
  change(json);
  text = json.dump();
}

using Damage = std::pair<std::string, std::function<void(Parts&)>>;

void damage_tensor(Parts& parts, const char* key, const Json& value) { parts.header["0.weight"][key] = value; }

/// What breaks the container.
const std::vector<Damage>& tensor_damages() {
  static const std::vector<Damage> kDamages{{"overlap",
                                             [](Parts& p) {
                                               damage_tensor(p, "data_offsets", {0, 320});
                                             }},
                                            {"gap", [](Parts& p) { p.data += "12345678"; }},
                                            {"absurd shape",
                                             [](Parts& p) {
                                               damage_tensor(p, "shape", {std::uint64_t{1} << 62, 8});
                                             }},
                                            {"absurd end",
                                             [](Parts& p) {
                                               damage_tensor(p, "data_offsets", {0, ~std::uint64_t{0}});
                                             }},
                                            {"other shape",
                                             [](Parts& p) {
                                               damage_tensor(p, "shape", {3, 8, 3, 3});
                                             }},
                                            {"other type", [](Parts& p) { damage_tensor(p, "dtype", "I32"); }},
                                            {"unknown type", [](Parts& p) { damage_tensor(p, "dtype", "X9"); }},
                                            {"number for a type", [](Parts& p) { damage_tensor(p, "dtype", 4); }},
                                            {"no metadata", [](Parts& p) { p.header.erase("__metadata__"); }}};
  return kDamages;
}

Damage info(const std::string& name, const char* key, const Json& value) {
  return {name, [=](Parts& p) { edit(p, "snug.info", [&](Json& json) { json[key] = value; }); }};
}
Damage config(const std::string& name, const std::string& text) {
  return {name, [=](Parts& p) { p.header["__metadata__"]["snug.config"] = text; }};
}

/// What makes no sense in a checkpoint that is whole as a container.
std::vector<Damage> checkpoint_damages() {
  const std::string head = "name = \"x\"\n[data]\ntrain = { synthetic = \"shapes\", count = 9 }\n[model]\n";
  return {
      info("channels", "mean", Json::array({0, 0})),
      info("one mean", "mean", Json::array({0.5})),
      info("divisor", "divisor", 0),
      info("classes", "classes", 7),
      info("batch", "batch", -3),
      info("no number", "integer_max", "255"),
      config("no config", "[["),
      config("huge input", head + "input = [60000, 60000, 3]\nlayers = [{ conv = 8, kernel = 3, norm = \"batch\" }, "
                                  "{ global_avgpool = true }, { dense = 10 }]\n"),
      config("huge dense", head + "input = [16, 16, 3]\nlayers = [{ flatten = true }, { dense = 1000000000 }]\n"),
      config("huge repeat", head + "input = [16, 16, 3]\nlayers = [{ repeat = 1000000000, block = [ { conv = 3, "
                                   "kernel = 1 } ] }, { flatten = true }, { dense = 10 }]\n"),
      config("another model", head + "input = [16, 16, 3]\nlayers = [{ flatten = true }, { dense = 10 }]\n")};
}

class Damaged : public ::testing::Test {
 protected:
  Damaged() {
    folder_.file("c.toml", small_config());
    EXPECT_EQ(run("train c.toml --out run --max-steps 8 --quiet").code, 0);
    EXPECT_EQ(run("data synth --out shapes --count 20 --val-count 10 --size 16").code, 0);
  }
  /// In 6 GB of addresses: far below what the files ask for.
  [[nodiscard]] ProgramResult run(const std::string& line) const {
    const bool sanitized = std::string_view(SNUG_SANITIZERS) != "";  // they reserve terabytes
    return run_program(split_words(line), (sanitized ? "cd " : "ulimit -v 6000000; cd ") + folder_ / "");
  }
  [[nodiscard]] fs::path file(const std::string& name) const { return folder_ / name; }

  /// Ends with findings of the file, the data or the memory; `may_pass`: or well.
  void expect_findings(const std::string& line, const std::string& what, bool may_pass = false) const {
    const ProgramResult result = run(line + " --json");
    if (may_pass && result.code == 0) return;
    EXPECT_TRUE(result.code >= 2 && result.code <= 4) << line << ", " << what << ": " << result.code << result.error;
    const std::size_t place = result.out.find("{\"findings\"");
    const std::size_t event = result.out.find("\"event\":\"finding\"");
    ASSERT_TRUE(place != std::string::npos || event != std::string::npos) << line << ", " << what << result.out;
    if (place == std::string::npos) return;
    for (const Json& finding : Json::parse(result.out.substr(place))["findings"]) {
      EXPECT_LE(finding["what"].get<std::string>().size(), 160U) << finding.dump();
      EXPECT_FALSE(finding["fix"].get<std::string>().empty()) << finding.dump();
    }
  }
  void expect_checkpoint_findings(const std::string& what, bool may_pass = false) const {
    for (const std::string line : {"eval bad.safetensors", "predict bad.safetensors shapes/val-images.npy",
                                   "export bad.safetensors --to onnx --out x.onnx",
                                   "export bad.safetensors --to safetensors --out x.safetensors"}) {
      expect_findings(line, what, may_pass);
      fs::remove(file("x.onnx"));
      fs::remove(file("x.safetensors"));
    }
  }
  TemporaryFolder folder_;
};

TEST_F(Damaged, CheckpointsAreFindings) {
  const std::string good = read_text(file("run/best.safetensors"));
  for (const std::vector<Damage>& damages : {tensor_damages(), checkpoint_damages()}) {
    for (const auto& [what, damage] : damages) {
      Parts parts = parts_of(good);
      damage(parts);
      write_text(file("bad.safetensors"), whole(parts));
      expect_checkpoint_findings(what);
    }
  }
  for (const auto& [what, damage] : tensor_damages()) {
    if (what == "no metadata") continue;  // weights alone are what --init is for
    Parts parts = parts_of(good);
    damage(parts);
    write_text(file("bad.safetensors"), whole(parts));
    expect_findings("train c.toml --init bad.safetensors --out no", what);
    fs::remove_all(file("no"));
  }
}

TEST_F(Damaged, CheckpointsThatWereCutOrFlippedAreFindings) {
  const std::string good = read_text(file("run/best.safetensors"));
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{4}, std::size_t{8}, good.size() / 4, good.size() / 2, good.size() - 1}) {
    write_text(file("bad.safetensors"), good.substr(0, bytes));
    expect_checkpoint_findings(fmt::format("cut to {}", bytes));
  }
  for (std::size_t place = 0; place < good.size(); place += good.size() / 24 + 1) {
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 0x15);
    write_text(file("bad.safetensors"), bad);
    expect_checkpoint_findings(fmt::format("flipped at {}", place), true);  // another weight is as good as any
  }
}

TEST_F(Damaged, StatesAreFindingsAndNothingIsWritten) {
  const std::string good = read_text(file("run/last.state"));
  const auto expect = [&](const std::string& bad, const std::string& what) {
    write_text(file("run/last.state"), bad);
    const std::string log = read_text(file("run/log.jsonl"));
    expect_findings("train c.toml --out run --resume", what);
    EXPECT_EQ(read_text(file("run/log.jsonl")), log) << what;
  };
  for (std::size_t place = 0; place < good.size(); place += good.size() / 16 + 1) {
    expect(good.substr(0, place), fmt::format("cut to {}", place));
    std::string bad = good;
    bad[place] = static_cast<char>(bad[place] ^ 0x15);
    expect(bad, fmt::format("flipped at {}", place));
  }
  const auto say = [&](const char* key, const Json& value) {
    Parts parts = parts_of(good);
    edit(parts, "snug.state", [&](Json& json) { json[key] = value; });
    const std::string text = parts.header["__metadata__"]["snug.state"];
    uLong crc = ::crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size());
    crc = ::crc32_z(crc, reinterpret_cast<const Bytef*>(parts.data.data()), parts.data.size());
    parts.header["__metadata__"]["snug.crc32"] = fmt::format("{:08x}", crc);
    expect(whole(parts), fmt::format("{} = {}", key, value.dump()));
  };
  say("batch", 0);
  say("batch", 1'000'000'000'000);
  say("batch", 32.0);
  say("step", -1);
  say("step", 1'000'000);
  say("steps_per_epoch", 0);
  say("samples", 1'000'000'000'000);
  say("log_bytes", -1);
  say("events_file", "../../events.out.tfevents.1.snug");
  say("totals", "none");
}

TEST_F(Damaged, RunFoldersAreShownAllTheSame) {
  ASSERT_EQ(run("train c.toml --out other --max-steps 8 --quiet").code, 0);
  for (const char* name : {"config.toml", "run.json", "plan.json", "evaluation.json", "log.jsonl", "metrics.csv"}) {
    if (!fs::exists(file(std::string("run/") + name))) continue;
    const std::string good = read_text(file(std::string("run/") + name));
    for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2), std::string("[[[[\"\xFF"),
                                   std::string(100'000, '['), "{\"format\":1e300,\"starts\":7}" + good}) {
      write_text(file(std::string("run/") + name), bad);
      for (const std::string line : {"runs --dir .", "runs show run", "runs compare run other", "runs report run"}) {
        const ProgramResult result = run(line);
        EXPECT_EQ(result.code, 0) << line << " with " << name << ": " << result.error;
      }
    }
    write_text(file(std::string("run/") + name), good);
  }
}

}  // namespace
}  // namespace snug
