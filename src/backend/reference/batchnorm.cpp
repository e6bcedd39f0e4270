#include <cmath>

#include "backend/reference/call.h"
#include "backend/reference/functions.h"
#include "backend/reference/slopes.h"
#include "backend/reference/statistics.h"

namespace snug::reference {

namespace {

/// y = activation(value [+ residual]).
double finish(const BatchNormAttributes& attributes, double value) {
  return attributes.activation ? activation_value(*attributes.activation, value) : value;
}

}  // namespace

void batchnorm_forward(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles x = call[0], gamma = call[1], beta = call[2], running_mean = call[3], running_var = call[4];
  const int first_output = attributes.residual ? 6 : 5;
  const Doubles y = call[first_output], mean = call[first_output + 1], inverse_std = call[first_output + 2];
  const Doubles residual = call[5];  // y itself without one
  for (Index c = 0; c < x.c(); ++c) {
    measure(attributes, x, {running_mean, running_var, mean, inverse_std}, c);
    for_each_pixel(x.extents, [&](Index n, Index h, Index w) {
      const double value = gamma(c) * (x(n, h, w, c) - mean(c)) * inverse_std(c) + beta(c);
      y(n, h, w, c) = finish(attributes, value + (attributes.residual ? residual(n, h, w, c) : 0.0));
    });
  }
}

void batchnorm_statistics(const Call& call) {
  const Doubles x = call[0];
  for (Index c = 0; c < x.c(); ++c)
    measure(call.attributes<BatchNormAttributes>(), x, {call[1], call[2], call[3], call[4]}, c);
}

void batchnorm_backward_apply(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles g = call[0], gamma = call[1], mean = call[2], inverse_std = call[3], sums = call[4], x = call[5];
  const Doubles dx = call[6], dgamma = call[7], dbeta = call[8];
  const double count = pixels(g);
  for_each(g.extents, [&](Index n, Index h, Index w, Index c) {
    const double shifted = (x(n, h, w, c) - mean(c)) * inverse_std(c) * inverse_std(c);
    const double centered = g(n, h, w, c) - sums(0, c) / count - shifted * sums(1, c) / count;
    dx(n, h, w, c) = gamma(c) * inverse_std(c) * centered + (attributes.accumulate_dx ? dx(n, h, w, c) : 0.0);
  });
  for (Index c = 0; c < g.c(); ++c) {
    dgamma(c) = sums(1, c) * inverse_std(c) + (attributes.accumulate ? dgamma(c) : 0.0);
    dbeta(c) = sums(0, c) + (attributes.accumulate ? dbeta(c) : 0.0);
  }
}

void batchnorm_apply(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles x = call[0], gamma = call[1], beta = call[2], mean = call[3], inverse_std = call[4];
  const Doubles residual = call[5], y = call[attributes.residual ? 6 : 5];
  for_each(x.extents, [&](Index n, Index h, Index w, Index c) {
    const double value = gamma(c) * (x(n, h, w, c) - mean(c)) * inverse_std(c) + beta(c);
    y(n, h, w, c) = finish(attributes, value + (attributes.residual ? residual(n, h, w, c) : 0.0));
  });
}

void batchnorm_inference(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles x = call[0], gamma = call[1], beta = call[2], running_mean = call[3], running_var = call[4];
  const Doubles residual = call[5], y = call[attributes.residual ? 6 : 5];
  for_each(x.extents, [&](Index n, Index h, Index w, Index c) {
    const double normalized = (x(n, h, w, c) - running_mean(c)) / std::sqrt(running_var(c) + attributes.epsilon);
    const double value = gamma(c) * normalized + beta(c);
    y(n, h, w, c) = finish(attributes, value + (attributes.residual ? residual(n, h, w, c) : 0.0));
  });
}

void batchnorm_backward(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles dy = call[0], gamma = call[1], beta = call[2], mean = call[3], inverse_std = call[4];
  const int first_output = attributes.residual ? 6 : 5;
  const Doubles y = call[5], dx = call[first_output], dgamma = call[first_output + 1], dbeta = call[first_output + 2];
  const Doubles saved = call[attributes.residual ? 10 : 8], dresidual = call[attributes.residual ? 9 : 5];
  const double count = pixels(dy);
  for (Index c = 0; c < dy.c(); ++c) {
    const auto normalized = [&](Index n, Index h, Index w) {
      if (call.chosen() == Saved::input) return (saved(n, h, w, c) - mean(c)) * inverse_std(c);
      return (saved(n, h, w, c) - beta(c)) / gamma(c);
    };
    if (attributes.residual) {  // once: it may lie over dy
      for_each_pixel(dy.extents, [&](Index n, Index h, Index w) {
        const double slope =
            attributes.activation ? activation_slope_at_output(*attributes.activation, y(n, h, w, c)) : 1.0;
        dresidual(n, h, w, c) = dy(n, h, w, c) * slope;
      });
    }
    /// The gradient of the normalised value, before the activation.
    const auto gradient = [&](Index n, Index h, Index w) {
      if (attributes.residual) return dresidual(n, h, w, c);
      if (!attributes.activation) return dy(n, h, w, c);
      return dy(n, h, w, c) *
             activation_slope_at_input(*attributes.activation, gamma(c) * normalized(n, h, w) + beta(c));
    };
    double sum = 0;
    double dot = 0;
    for_each_pixel(dy.extents, [&](Index n, Index h, Index w) {
      sum += gradient(n, h, w);
      dot += gradient(n, h, w) * normalized(n, h, w);
    });
    for_each_pixel(dy.extents, [&](Index n, Index h, Index w) {
      dx(n, h, w, c) =
          gamma(c) * inverse_std(c) * (gradient(n, h, w) - sum / count - normalized(n, h, w) * dot / count) +
          (attributes.accumulate_dx ? dx(n, h, w, c) : 0.0);
    });
    dgamma(c) = dot + (attributes.accumulate ? dgamma(c) : 0.0);
    dbeta(c) = sum + (attributes.accumulate ? dbeta(c) : 0.0);
  }
}

void batchnorm_inference_backward(const Call& call) {
  const auto& attributes = call.attributes<BatchNormAttributes>();
  const Doubles dy = call[0], gamma = call[1], running_mean = call[2], running_var = call[3];
  const Doubles dx = call[4], dgamma = call[5], dbeta = call[6], x = call[7];
  for (Index c = 0; c < dy.c(); ++c) {
    const double inverse_std = 1 / std::sqrt(running_var(c) + attributes.epsilon);
    double sum = 0;
    double dot = 0;
    for_each_pixel(dy.extents, [&](Index n, Index h, Index w) {
      sum += dy(n, h, w, c);
      dot += dy(n, h, w, c) * (x(n, h, w, c) - running_mean(c)) * inverse_std;
      dx(n, h, w, c) = gamma(c) * inverse_std * dy(n, h, w, c) + (attributes.accumulate_dx ? dx(n, h, w, c) : 0.0);
    });
    dgamma(c) = dot + (attributes.accumulate ? dgamma(c) : 0.0);
    dbeta(c) = sum + (attributes.accumulate ? dbeta(c) : 0.0);
  }
}

}  // namespace snug::reference
