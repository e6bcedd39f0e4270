// What `plan` prints: short whatever it says, and every line in its place.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "report/plan_parts.h"
#include "report/reports.h"

namespace snug {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

PlanReport refused() {
  PlanReport plan{.device = "NVIDIA H200", .device_bytes = 100 << 20, .budget_bytes = 50 << 20, .batch = 256};
  plan.breakdown = {
      .driver = 10 << 20, .weights = 5 << 20, .gradients = 5 << 20, .activations = 60 << 20, .padding = 9};
  plan.total_bytes = plan.breakdown.total();
  plan.short_by_bytes = plan.total_bytes - plan.budget_bytes;
  plan.max_batch = 100;
  plan.lower_bound_bytes = 65 << 20;
  plan.allocated.transient = 65 << 20;
  plan.peak = {.step = 7, .phase = "backward", .layer = "layer4.2.conv3", .tensors = {}};
  for (int i = 0; i < 40; ++i)
    plan.peak.tensors.push_back({"t" + std::to_string(i) + ":y", "t", "activation", 1 << 20});
  plan.remedies = {{.change = "train.batch = 100", .total_bytes = 49 << 20, .estimated_slowdown = 1},
                   {.change = "memory.strategy = [\"recompute\"]\ntrain.precision = \"bf16\"",
                    .total_bytes = 48 << 20,
                    .estimated_slowdown = 1.1}};
  plan.processes = {{12, "python", 30 << 20}, {13, "Xorg", 0}};
  plan.free_bytes = 60 << 20;
  plan.estimated_images_per_second = 1000;
  return plan;
}

std::int64_t lines(const std::string& text) { return std::ranges::count(text, '\n'); }

TEST(PlanText, ARefusalSaysWhyAndWhatToDo) {
  const std::string text = to_text(refused(), "net");
  EXPECT_THAT(text, HasSubstr("net on NVIDIA H200: batch 256 does not fit\n"));
  EXPECT_THAT(text, HasSubstr("  needed     80.0 MiB  83,886,089 B\n"));
  EXPECT_THAT(
      text,
      HasSubstr("  available  50.0 MiB  52,428,800 B  the budget; the device has 100 MiB, 60.0 MiB of it free\n"));
  EXPECT_THAT(text, HasSubstr("  too much   30.0 MiB  31,457,289 B\n"));
  EXPECT_THAT(text, HasSubstr("  held by others: python (12) 30.0 MiB, Xorg (13) unknown\n"));
  EXPECT_THAT(text, HasSubstr("  largest batch that fits: 100\n"));
  EXPECT_THAT(text, HasSubstr("memory peaks at step 7, in the backward pass of layer layer4.2.conv3: 65.0 MiB alive"));
  EXPECT_THAT(text, HasSubstr("smaller ones"));
  EXPECT_THAT(text, HasSubstr("  --set train.batch=100 "));
  EXPECT_THAT(
      text,
      HasSubstr("  --set 'memory.strategy=[\"recompute\"]' --set train.precision=bf16  → 48.0 MiB  1.10× the time"));
}

TEST(PlanText, SaysPlainlyThatNothingFits) {
  PlanReport plan = refused();
  plan.remedies.clear();
  plan.max_batch = 0;
  const std::string text = to_text(plan, "net");
  EXPECT_THAT(text, HasSubstr("no remedy"));
  EXPECT_THAT(text, HasSubstr("no batch fits"));
}

TEST(PlanText, WhatFitsNeedsNoRemedy) {
  PlanReport plan = refused();
  plan.fits = true;
  plan.budget_bytes = 90 << 20;
  plan.remedies.clear();
  plan.processes.clear();
  const std::string text = to_text(plan, "net");
  EXPECT_THAT(text, HasSubstr("batch 256 fits\n"));
  EXPECT_THAT(text, Not(HasSubstr("too much")));
  EXPECT_THAT(text, Not(HasSubstr("--set")));
}

TEST(PlanText, NeverTakesMoreThanThirtyLines) {
  PlanReport plan = refused();
  for (int i = 0; i < 30; ++i) {
    plan.remedies.push_back({.change = "train.batch = " + std::to_string(i), .total_bytes = i});
    plan.processes.push_back({i, "p", i});
    plan.fits_on.push_back("card");
  }
  const std::int64_t part = 10 << 20;
  plan.breakdown = {part, part, part, part, part, part, part, part, part, part};
  plan.total_bytes = plan.breakdown.total();
  EXPECT_LE(lines(to_text(plan, "net")), 30);
  plan.fits = true;
  EXPECT_LE(lines(to_text(plan, "net")), 30);
}

TEST(PlanText, AFewTensorsAreAllNamed) {
  PlanReport plan = refused();
  plan.peak.tensors.resize(4);
  const std::string text = to_text(plan, "net");
  EXPECT_THAT(text, HasSubstr("t3:y"));
  EXPECT_THAT(text, Not(HasSubstr("smaller ones")));
}

}  // namespace
}  // namespace snug
