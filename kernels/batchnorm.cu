#include "batchnorm.cuh"

#include "batchnorm_sums.cuh"
#include "functions.cuh"
#include "rows.cuh"

namespace snug::kernels {

namespace {

/// Vectors of the normalization: (x − center) · scale + shift.
struct Affine {
  const float *gamma, *beta, *center, *spread;
  bool variance;  ///< spread is a variance, else an inverse standard deviation
  float epsilon;
};

template <int V>
struct AffineValues {
  float center[V], scale[V], shift[V];
};

template <int V>
__device__ inline AffineValues<V> affine_values(const Affine& a, int channel) {
  AffineValues<V> values;
  float gamma[V];
  load_parameters<V>(values.center, a.center + channel);
  load_parameters<V>(values.scale, a.spread + channel);
  load_parameters<V>(values.shift, a.beta + channel);
  load_parameters<V>(gamma, a.gamma + channel);
#pragma unroll
  for (int v = 0; v < V; ++v) {
    values.scale[v] = a.variance ? gamma[v] / sqrtf(values.scale[v] + a.epsilon) : gamma[v] * values.scale[v];
  }
  return values;
}

template <class T, int V, class Choice, bool Residual>
__global__ void __launch_bounds__(kThreads) normalize_rows(T* y, const T* x, std::int64_t pitch, const T* residual,
                                                           Affine affine, RowTiles t, Activation kind) {
  const RowPlace p = row_place<V>(t, true);
  if (p.channel >= t.channels) return;
  const AffineValues<V> a = affine_values<V>(affine, p.channel);
  for (std::int64_t row = p.begin; row < p.end; row += p.step * Choice::kAtOnce) {
    Packet<T, V> inputs[Choice::kAtOnce], residuals[Choice::kAtOnce];
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
      inputs[k] = fetch<T, V>(x + (row + k * p.step) * pitch + p.channel);
      if constexpr (Residual) residuals[k] = fetch<T, V>(residual + (row + k * p.step) * t.channels + p.channel);
    }
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
      float values[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        values[v] = normalized(to_float(inputs[k].at[v]), a.center[v], a.scale[v], a.shift[v]);
        if constexpr (Residual) values[v] += to_float(residuals[k].at[v]);
        values[v] = activate(Choice::of(kind), values[v]);
      }
      store<V>(y + (row + k * p.step) * t.channels + p.channel, values);
    }
  }
}

template <class T, int V, class Choice>
void launch_normalize(const BatchNorm& norm, const NormTensors& tensors, const Affine& affine, Stream stream) {
  const RowTiles t = row_tiles(norm.rows, norm.channels, V, 2 * kRowsAtOnce, 1 << 15);
  const auto run = [&](auto kernel) {
    launch(kernel, grid_of(t), kThreads, 0, stream, static_cast<T*>(tensors.y), static_cast<const T*>(tensors.x),
           pitch_or(norm.x_pitch, norm.channels), static_cast<const T*>(tensors.residual), affine, t, norm.activation);
  };
  if (tensors.residual != nullptr) {
    run(normalize_rows<T, V, Choice, true>);
  } else {
    run(normalize_rows<T, V, Choice, false>);
  }
}

void normalize(const BatchNorm& norm, const NormTensors& t, const Affine& a, Stream stream) {
  if (norm.rows <= 0) return;
  by_type(norm.data, [&]<class T>() {
    const bool wide =
        widths_allow(norm, kWide<T>) && aligned(t.x, t.y, t.residual, a.gamma, a.beta, a.center, a.spread);
    if (!wide) return launch_normalize<T, 1, AnyActivation>(norm, t, a, stream);
    by_activation(norm.activation, [&]<class Choice>() { launch_normalize<T, kWide<T>, Choice>(norm, t, a, stream); });
  });
}

// ---- backward ---------------------------------------------------------------------------------------------------

/// The gradient in front of the activation, and the sums of it and of its product with z − center; by part, [2][parts]
/// [channels]. With a residual the gradient is written, for the second sweep reads it.
template <class T, int V, class Choice, bool Residual>
__global__ void __launch_bounds__(kThreads, 2)
    sum_gradients(float* partial, T* dresidual, const T* dy, const T* y, const T* z, std::int64_t pitch, Affine affine,
                  RowTiles t, Activation kind) {
  SHARED(Meeting<V>, between);
  const RowPlace p = row_place<V>(t);
  float sums[V] = {}, dots[V] = {};
  if (p.channel < t.channels) {
    const AffineValues<V> a = affine_values<V>(affine, p.channel);
    for (std::int64_t row = p.begin; row < p.end; row += p.step * Choice::kAtOnce) {
      Packet<T, V> gradients[Choice::kAtOnce], saved[Choice::kAtOnce], outputs[Choice::kAtOnce];
#pragma unroll
      for (int k = 0; k < Choice::kAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
        const std::int64_t at = (row + k * p.step) * t.channels + p.channel;
        gradients[k] = fetch<T, V>(dy + at);
        saved[k] = fetch<T, V>(z + (row + k * p.step) * pitch + p.channel);
        if constexpr (Residual) outputs[k] = fetch<T, V>(y + at);
      }
#pragma unroll
      for (int k = 0; k < Choice::kAtOnce; ++k) {
        if (row + k * p.step >= p.end) continue;
#pragma unroll
        for (int v = 0; v < V; ++v) {
          const float shifted = to_float(saved[k].at[v]) - a.center[v];
          float g = to_float(gradients[k].at[v]);
          if constexpr (Residual) {
            g *= slope_at_output(Choice::of(kind), to_float(outputs[k].at[v]));
            gradients[k].at[v] = from_float<T>(g);  // the sums take it as it was before
          } else {
            g *= slope_at_input(Choice::of(kind), fmaf(shifted, a.scale[v], a.shift[v]));
          }
          sums[v] += g;
          dots[v] = fmaf(g, shifted, dots[v]);
        }
        if constexpr (Residual) put(dresidual + (row + k * p.step) * t.channels + p.channel, gradients[k]);
      }
    }
  }
  const float sum = add_up_rows<V>(sums, t.lanes, between), dot = add_up_rows<V>(dots, t.lanes, between);
  if (const int channel = own_channel<V>(t); channel >= 0) {
    const std::int64_t at = static_cast<std::int64_t>(blockIdx.y) * t.channels + channel;
    partial[at] = sum;
    partial[static_cast<std::int64_t>(t.parts) * t.channels + at] = dot;
  }
}

/// How dx is written, and z read.
struct InputGradient {
  std::int64_t z_pitch, dx_pitch;
  bool accumulate;
};

/// dx = coefficients[0] · g + coefficients[1] · (z − center) + coefficients[2], each [channels]; without z the first
/// alone. g is dy behind the slope.
template <class T, int V, class Choice>
__global__ void __launch_bounds__(kThreads)
    write_dx(T* dx, const T* dy, const T* z, InputGradient form, const float* coefficients, Affine affine, RowTiles t,
             Activation kind) {
  const RowPlace p = row_place<V>(t, true);
  if (p.channel >= t.channels) return;
  float by_g[V], by_z[V], constant[V];
  load_parameters<V>(by_g, coefficients + p.channel);
  load_parameters<V>(by_z, coefficients + t.channels + p.channel);
  load_parameters<V>(constant, coefficients + 2 * static_cast<std::int64_t>(t.channels) + p.channel);
  const AffineValues<V> a = affine_values<V>(affine, p.channel);
  for (std::int64_t row = p.begin; row < p.end; row += p.step * Choice::kAtOnce) {
    Packet<T, V> gradients[Choice::kAtOnce], saved[Choice::kAtOnce];
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
      gradients[k] = fetch<T, V>(dy + (row + k * p.step) * t.channels + p.channel);
      if (z != nullptr) saved[k] = fetch<T, V>(z + (row + k * p.step) * form.z_pitch + p.channel);
    }
#pragma unroll
    for (int k = 0; k < Choice::kAtOnce; ++k) {
      if (row + k * p.step >= p.end) continue;
      float values[V];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        const float g = to_float(gradients[k].at[v]);
        values[v] = by_g[v] * g;
        if (z == nullptr) continue;
        const float shifted = to_float(saved[k].at[v]) - a.center[v];
        const float slope = slope_at_input(Choice::of(kind), fmaf(shifted, a.scale[v], a.shift[v]));
        values[v] = fmaf(by_g[v], g * slope, fmaf(by_z[v], shifted, constant[v]));
      }
      T* to = dx + (row + k * p.step) * form.dx_pitch + p.channel;
      if (form.accumulate) {
        float before[V];
        load<V>(before, to);
#pragma unroll
        for (int v = 0; v < V; ++v) values[v] += before[v];
      }
      store<V>(to, values);
    }
  }
}

template <class T, int V, class Choice>
void launch_write(const BatchNorm& norm, void* dx, const void* dy, const void* z, const float* coefficients,
                  const Affine& affine, Stream stream) {
  const RowTiles t = row_tiles(norm.rows, norm.channels, V, 2 * kRowsAtOnce, 1 << 15);
  const InputGradient form{pitch_or(norm.x_pitch, norm.channels), pitch_or(norm.dx_pitch, norm.channels),
                           norm.accumulate_dx};
  launch(write_dx<T, V, Choice>, grid_of(t), kThreads, 0, stream, static_cast<T*>(dx), static_cast<const T*>(dy),
         static_cast<const T*>(z), form, coefficients, affine, t, norm.activation);
}

template <class T, int V, class Choice>
void launch_backward(const BatchNorm& norm, const NormGradients& g, const Affine& affine, const FinishBackward& finish,
                     void* workspace, Stream stream) {
  const RowTiles t = row_tiles(norm.rows, norm.channels, V, kSumRows, kSumBlocks);
  auto* partial = static_cast<float*>(workspace);
  float* coefficients = partial + round_up_to_16_bytes(2 * static_cast<std::int64_t>(t.parts) * norm.channels);
  const bool residual = g.y != nullptr;
  const auto sum = [&](auto kernel) {
    launch(kernel, grid_of(t), kThreads, 0, stream, partial, static_cast<T*>(g.dresidual), static_cast<const T*>(g.dy),
           static_cast<const T*>(g.y), static_cast<const T*>(g.saved), pitch_or(norm.x_pitch, norm.channels), affine, t,
           norm.activation);
  };
  if (residual) {
    sum(sum_gradients<T, V, Choice, true>);
  } else {
    sum(sum_gradients<T, V, Choice, false>);
  }
  finish_backward(partial, coefficients, finish, t, stream);
  const void* z = finish.frozen ? nullptr : g.saved;
  if (residual) {  // the slope is in the gradient
    launch_write<T, V, Fixed<Activation::none>>(norm, g.dx, g.dresidual, z, coefficients, affine, stream);
  } else {
    launch_write<T, V, Choice>(norm, g.dx, g.dy, z, coefficients, affine, stream);
  }
}

void backward(const BatchNorm& norm, const NormGradients& g, const Affine& affine, const FinishBackward& finish,
              void* workspace, Stream stream) {
  if (norm.rows <= 0) return;
  by_type(norm.data, [&]<class T>() {
    const bool wide = widths_allow(norm, kWide<T>) && aligned(g.dy, g.saved, g.y, g.dx, g.dresidual, affine.gamma,
                                                              affine.beta, affine.center, affine.spread, workspace);
    if (!wide) return launch_backward<T, 1, AnyActivation>(norm, g, affine, finish, workspace, stream);
    by_activation(norm.activation, [&]<class Choice>() {
      launch_backward<T, kWide<T>, Choice>(norm, g, affine, finish, workspace, stream);
    });
  });
}

}  // namespace

void batchnorm_forward(const BatchNorm& norm, const NormTensors& t, float* running_mean, float* running_var,
                       float* mean, float* inverse_std, void* workspace, Stream stream) {
  batchnorm_statistics(norm, t.x, running_mean, running_var, mean, inverse_std, workspace, stream);
  batchnorm_apply(norm, t, mean, inverse_std, stream);
}

void batchnorm_statistics(const BatchNorm& norm, const void* x, float* running_mean, float* running_var, float* mean,
                          float* inverse_std, void* workspace, Stream stream) {
  if (norm.rows <= 0) return;
  measure(norm, x, {running_mean, running_var, mean, inverse_std, norm.epsilon, norm.momentum},
          static_cast<float*>(workspace), stream);
}

void batchnorm_apply(const BatchNorm& norm, const NormTensors& t, const float* mean, const float* inverse_std,
                     Stream stream) {
  normalize(norm, t, {t.gamma, t.beta, mean, inverse_std, false, 0}, stream);
}

void batchnorm_inference(const BatchNorm& norm, const NormTensors& t, const float* running_mean,
                         const float* running_var, Stream stream) {
  normalize(norm, t, {t.gamma, t.beta, running_mean, running_var, true, static_cast<float>(norm.epsilon)}, stream);
}

void batchnorm_backward(const BatchNorm& norm, const NormGradients& g, void* workspace, Stream stream) {
  const Affine affine{g.gamma, g.beta, g.from_output ? g.beta : g.mean, g.inverse_std, false, 0};
  const FinishBackward finish{.gamma = g.gamma,
                              .spread = g.inverse_std,
                              .dgamma = g.dgamma,
                              .dbeta = g.dbeta,
                              .from_output = g.from_output,
                              .accumulate = norm.accumulate};
  backward(norm, g, affine, finish, workspace, stream);
}

void batchnorm_backward_apply(const BatchNorm& norm, const NormGradients& g, const float* sums, void* workspace,
                              Stream stream) {
  if (norm.rows <= 0) return;
  auto* coefficients = static_cast<float*>(workspace);
  const FinishBackward finish{
      .gamma = g.gamma, .spread = g.inverse_std, .dgamma = g.dgamma, .dbeta = g.dbeta, .accumulate = norm.accumulate};
  finish_backward(sums, coefficients, finish, {.rows = norm.rows, .channels = norm.channels}, stream);
  const Affine affine{g.gamma, g.mean, g.mean, g.inverse_std, false, 0};  // there is no slope: beta is not needed
  using None = Fixed<Activation::none>;
  by_type(norm.data, [&]<class T>() {
    by_width<T>(widths_allow(norm, kWide<T>) && aligned(g.dy, g.saved, g.dx, g.gamma, g.mean, g.inverse_std, workspace),
                [&]<int V>() { launch_write<T, V, None>(norm, g.dx, g.dy, g.saved, coefficients, affine, stream); });
  });
}

void batchnorm_inference_backward(const BatchNorm& norm, const NormGradients& g, const float* running_mean,
                                  const float* running_var, void* workspace, Stream stream) {
  // There is no activation: beta is not needed, and any vector stands for it.
  const Affine affine{g.gamma, running_mean, running_mean, running_var, true, static_cast<float>(norm.epsilon)};
  const FinishBackward finish{.gamma = g.gamma,
                              .spread = running_var,
                              .dgamma = g.dgamma,
                              .dbeta = g.dbeta,
                              .frozen = true,
                              .accumulate = norm.accumulate,
                              .epsilon = norm.epsilon};
  backward(norm, g, affine, finish, workspace, stream);
}

}  // namespace snug::kernels
