#include "memory/problem.h"

#include <algorithm>
#include <numeric>
#include <tuple>
#include <utility>

namespace snug {
namespace {

bool occupies(const Buffer& buffer) { return buffer.size_bytes > 0 && buffer.life.first < buffer.life.last; }

/// The last step before each death that follows a birth: one step of each section, ascending.
std::vector<std::int64_t> section_steps(std::span<const Buffer> buffers) {
  std::vector<std::pair<std::int64_t, bool>> events;  // step, a birth; at one step deaths come first
  events.reserve(2 * buffers.size());
  for (const Buffer& buffer : buffers) {
    if (!occupies(buffer)) continue;
    events.emplace_back(buffer.life.first, true);
    events.emplace_back(buffer.life.last, false);
  }
  std::ranges::sort(events);
  std::vector<std::int64_t> steps;
  bool born = false;
  for (const auto& [step, birth] : events) {
    if (!birth && born) steps.push_back(step - 1);
    born = birth;
  }
  return steps;
}

struct Numbered {
  Item item;
  std::uint32_t buffer = 0;
};

/// All that occupy bytes, ordered by first section; sizes in units.
std::vector<Numbered> number(std::span<const Buffer> buffers, std::int64_t alignment, std::int64_t unit) {
  const std::vector<std::int64_t> steps = section_steps(buffers);
  const auto section = [&](std::int64_t step) {
    return static_cast<std::int32_t>(std::ranges::lower_bound(steps, step) - steps.begin());
  };
  std::vector<Numbered> all;
  all.reserve(buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    const Buffer& buffer = buffers[i];
    if (!occupies(buffer)) continue;
    const std::int64_t size = ((buffer.size_bytes - 1) / alignment + 1) * alignment / unit;
    all.push_back({.item = {.first = section(buffer.life.first), .last = section(buffer.life.last), .size = size},
                   .buffer = static_cast<std::uint32_t>(i)});
  }
  std::ranges::sort(all, {}, [](const Numbered& n) { return std::tuple(n.item.first, n.item.last, n.buffer); });
  return all;
}

std::int64_t common_unit(std::span<const Buffer> buffers, std::int64_t alignment) {
  std::int64_t unit = 0;
  for (const Buffer& buffer : buffers) {
    if (occupies(buffer)) unit = std::gcd(unit, ((buffer.size_bytes - 1) / alignment + 1) * alignment);
  }
  return std::max<std::int64_t>(unit, 1);
}

std::int64_t largest_load(const Part& part) {
  std::vector<std::int64_t> change(static_cast<std::size_t>(part.sections) + 1);
  for (const Item& item : part.items) {
    change[static_cast<std::size_t>(item.first)] += item.size;
    change[static_cast<std::size_t>(item.last)] -= item.size;
  }
  std::int64_t load = 0;
  std::int64_t largest = 0;
  for (const std::int64_t by : change) largest = std::max(largest, load += by);
  return largest;
}

}  // namespace

Problem make_problem(std::span<const Buffer> buffers, std::int64_t alignment) {
  Problem problem{.unit = common_unit(buffers, alignment)};
  std::int32_t begin = 0;  // of the part, in sections of all
  std::int32_t end = 0;    // the part's last death so far
  for (const Numbered& numbered : number(buffers, alignment, problem.unit)) {
    Item item = numbered.item;
    if (problem.parts.empty() || item.first >= end) {
      problem.parts.emplace_back();
      begin = item.first;
    }
    end = std::max(end, item.last);
    Part& part = problem.parts.back();
    part.sections = end - begin;
    item.first -= begin;
    item.last -= begin;
    part.items.push_back(item);
    part.buffers.push_back(numbered.buffer);
  }
  for (Part& part : problem.parts) part.lower_bound = largest_load(part);
  std::ranges::stable_sort(problem.parts, std::ranges::greater(), &Part::lower_bound);
  if (!problem.parts.empty()) problem.lower_bound = problem.parts.front().lower_bound;
  return problem;
}

}  // namespace snug
