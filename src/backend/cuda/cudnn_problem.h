// A convolution as cuDNN's graphs have it: tensors, operation, and whoever answers for the device.
#pragma once

#include <cstdint>
#include <list>
#include <vector>

#include "backend/cuda/convolution.h"
#include "backend/cuda/cudnn_library.h"

namespace snug::cudnn {

/// What stands for a device: its handle where it is here, else its property sheet.
struct Target {
  const Object* properties = nullptr;
  void* handle = nullptr;
};

/// The numbers of the tensors, by which they are given addresses; the bias stands where there is one.
inline constexpr std::int64_t kTensorX = 1, kTensorW = 2, kTensorY = 3, kTensorBias = 4;

class Problem {
 public:
  /// `library` and what `target` names must outlive it.
  Problem(const Library& library, const Convolution& convolution, const Target& target);
  /// Whether the library takes it at all.
  [[nodiscard]] bool sound() const { return sound_; }
  /// What the heuristics list, best first.
  [[nodiscard]] std::vector<Object> configurations(HeuristicMode mode) const;

  [[nodiscard]] const Library& library() const { return library_; }
  [[nodiscard]] const Convolution& convolution() const { return convolution_; }
  [[nodiscard]] const Target& target() const { return target_; }

 private:
  /// A tensor of y's shape that is within an engine alone: where the next operation finds what the last one gives.
  const Object* add_intermediate();
  /// `to` = mode(`from`[, `with`]), behind what is in `operations_`. False where the library refuses it.
  bool add_pointwise(PointwiseMode mode, const Object& from, const Object* with, const Object& to);
  /// bias and relu: y of what `sums` is. False as above.
  bool add_epilogue(const Object& sums);

  const Library& library_;
  Convolution convolution_;
  Target target_;
  Object x_, w_, y_, window_, operation_, graph_;
  std::list<Object> epilogue_;     ///< tensors and operations behind the sums; they stay where they are
  std::vector<void*> operations_;  ///< the library's own, in order
  bool sound_ = false;
};

}  // namespace snug::cudnn
