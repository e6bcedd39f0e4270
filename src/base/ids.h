// Typed indices: a TensorId cannot be passed where a StepId is meant.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace snug {

/// An index into the vector of the thing that `Tag` names. A default-made id refers to nothing.
template <class Tag>
struct Id {
  std::int32_t value = -1;

  constexpr Id() = default;
  constexpr explicit Id(std::int64_t index) : value(static_cast<std::int32_t>(index)) {}
  [[nodiscard]] constexpr bool valid() const { return value >= 0; }
  [[nodiscard]] constexpr std::size_t index() const { return static_cast<std::size_t>(value); }
  friend constexpr auto operator<=>(Id, Id) = default;
};

using TensorId = Id<struct TensorTag>;    ///< Program::tensors
using StorageId = Id<struct StorageTag>;  ///< Program::storages
using StepId = Id<struct StepTag>;        ///< Program::steps
using LayerId = Id<struct LayerTag>;      ///< Graph::layers, Program::layers
using NodeId = Id<struct NodeTag>;        ///< Graph::nodes

}  // namespace snug

template <class Tag>
struct std::hash<snug::Id<Tag>> {
  std::size_t operator()(snug::Id<Tag> id) const noexcept { return std::hash<std::int32_t>{}(id.value); }
};
