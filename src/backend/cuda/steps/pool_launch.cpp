#include "backend/cuda/steps/launch.h"
#include "kernels/batchnorm_pool.cuh"
#include "kernels/pool.cuh"

namespace snug::cuda {

namespace {

/// `x`, `y`: the operands with the shapes of the pool's input and output.
kernels::Pool pool_of(const StepInfo& s, std::size_t x, std::size_t y) {
  kernels::Pool pool{.data = s.data(0), .x = s.images(x)};
  const kernels::Images out = s.images(y);
  pool.y_h = out.h;
  pool.y_w = out.w;
  if (const auto* attributes = std::get_if<PoolAttributes>(&s.step().attributes))
    pool.window = sliding_window(attributes->window);
  if (const auto* attributes = std::get_if<NormPoolAttributes>(&s.step().attributes))
    pool.window = sliding_window(attributes->window);
  return pool;
}

Launch norm_pool_backward(const Info& s) {
  return {.run = [pool = pool_of(*s, 6, 0),
                  accumulate = s->attributes<NormPoolAttributes>().accumulate](const Addresses& a) {
    kernels::batchnorm_maxpool_backward(pool,
                                        {.dy = a[0],
                                         .index = a.as<std::uint8_t>(1),
                                         .gamma = a.as(2),
                                         .beta = a.as(3),
                                         .mean = a.as(4),
                                         .inverse_std = a.as(5),
                                         .x = a[6],
                                         .dx = a[7],
                                         .dgamma = a.as(8),
                                         .dbeta = a.as(9),
                                         .accumulate = accumulate},
                                        a.workspace(), a.stream());
  }};
}

}  // namespace

Launch pool_launch(const Info& s) {
  switch (s->step().op) {
    case Op::maxpool_forward:
      return {.run = [pool = pool_of(*s, 0, 1)](const Addresses& a) {
        kernels::maxpool_forward(pool, a[0], a[1], a.as<std::uint8_t>(2), a.stream());
      }};
    case Op::maxpool_backward:
      return {.run = [pool = pool_of(*s, 2, 0)](const Addresses& a) {
        kernels::maxpool_backward(pool, a[0], a.as<std::uint8_t>(1), a[2], a.stream());
      }};
    case Op::batchnorm_maxpool_forward:
      return {.run = [pool = pool_of(*s, 0, 5)](const Addresses& a) {
        kernels::batchnorm_maxpool_forward(pool,
                                           {.x = a[0],
                                            .gamma = a.as(1),
                                            .beta = a.as(2),
                                            .mean = a.as(3),
                                            .inverse_std = a.as(4),
                                            .y = a[5],
                                            .index = a.as<std::uint8_t>(6)},
                                           a.stream());
      }};
    case Op::batchnorm_maxpool_backward: return norm_pool_backward(s);
    case Op::avgpool_forward:
      return {.run = [pool = pool_of(*s, 0, 1)](const Addresses& a) {
        kernels::avgpool_forward(pool, a[0], a[1], a.stream());
      }};
    case Op::avgpool_backward:
      return {.run = [pool = pool_of(*s, 1, 0)](const Addresses& a) {
        kernels::avgpool_backward(pool, a[0], a[1], a.stream());
      }};
    case Op::adaptive_avgpool_forward:
      return {.run = [pool = pool_of(*s, 0, 1)](const Addresses& a) {
        kernels::adaptive_avgpool_forward(pool, a[0], a[1], a.stream());
      }};
    case Op::adaptive_avgpool_backward:
      return {.run = [pool = pool_of(*s, 1, 0)](const Addresses& a) {
        kernels::adaptive_avgpool_backward(pool, a[0], a[1], a.stream());
      }};
    default: fail("not a pool", __FILE__, __LINE__);
  }
}

}  // namespace snug::cuda
