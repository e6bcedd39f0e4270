// Steps that stand for several, or for a half of one (lowering/fuse_products.cpp).
#include <string>
#include <utility>

#include "ops/op_cases.h"

namespace snug::ops_test {

namespace {

/// gamma, beta, mean, inverse_std.
std::vector<Arg> norm_of(std::int64_t channels) {
  return {in({channels}, random_values(channels, 11, 0.5, 4)), in({channels}, random_values(channels, 12)),
          in({channels}, random_values(channels, 13)), in({channels}, random_values(channels, 14, 0.5, 3))};
}

void append(std::vector<Arg>& args, std::vector<Arg> more) {
  for (Arg& arg : more) args.push_back(std::move(arg));
}

void take_slice(Arg& arg) {
  arg.pitch = arg.shape.back() + 24;
  arg.begin = 8;
}

}  // namespace

std::vector<StepCase> half_norm_cases(const Shape& x) {
  const std::int64_t c = x.back();
  StepCase statistics{.name = "batchnorm_statistics " + to_string(x),
                      .op = Op::batchnorm_statistics,
                      .attributes = BatchNormAttributes{},
                      .args = {in(x, random_values(x, 1, -1, 3)), inout({c}, random_values(c, 2)),
                               inout({c}, random_values(c, 3, 0.5, 2)), out({c}), out({c})}};
  const std::vector<Arg> norm = norm_of(c);
  StepCase apply{
      .name = "batchnorm_backward_apply " + to_string(x),
      .op = Op::batchnorm_backward_apply,
      .attributes = BatchNormAttributes{},
      .args = {in(x, random_values(x, 4)), norm[0], norm[2], norm[3], in({2, c}, random_values({2, c}, 5, -20, 20)),
               in(x, random_values(x, 6)), out(x), out({c}), out({c})}};
  StepCase added = apply;
  added.name += " of slices, added";
  added.attributes = BatchNormAttributes{.accumulate = true, .accumulate_dx = true};
  added.args[6] = inout(x, random_values(x, 7));
  take_slice(added.args[5]);
  take_slice(added.args[6]);
  for (const std::size_t sum : {7U, 8U}) added.args[sum] = inout({c}, random_values(c, 8));
  return {statistics, apply, added};
}

std::vector<StepCase> fused_product_cases(const FusedProduct& p) {
  const std::int64_t c = p.channels, k = p.filters;
  const Shape x{1, p.rows, 1, c}, w{k, 1, 1, c}, y{1, p.rows, 1, k};
  const std::string name = std::to_string(p.rows) + " rows, " + std::to_string(c) + " to " + std::to_string(k);
  StepCase forward{.name = name,
                   .op = Op::conv1x1_forward,
                   .attributes = p.attributes,
                   .args = {in(x, random_values(x, 1, -1, 2)), in(w, random_values(w, 2))}};
  if (p.attributes.norm) append(forward.args, norm_of(c));
  if (p.attributes.statistics)
    append(forward.args, {inout({k}, random_values(k, 3)), inout({k}, random_values(k, 4, 0.5, 2))});
  forward.args.push_back(out(y));
  if (p.attributes.statistics) append(forward.args, {out({k}), out({k})});

  StepCase data{.name = name + ": data",
                .op = Op::conv1x1_backward_data,
                .attributes = p.attributes,
                .args = {in(y, random_values(y, 5)), in(w, random_values(w, 6))}};
  if (p.attributes.addend) data.args.push_back(in(x, random_values(x, 7)));
  data.args.push_back(forward.args[0]);
  append(data.args, norm_of(c));
  if (p.attributes.residual) data.args.push_back(in(x, random_values(x, 8, -2, 8)));
  append(data.args, {out(x), out({2, c})});

  StepCase weights{.name = name + ": weights",
                   .op = Op::conv1x1_backward_weights,
                   .attributes = p.attributes,
                   .args = {forward.args[0], in(y, random_values(y, 9))}};
  append(weights.args, norm_of(c));
  weights.args.push_back(p.attributes.accumulate ? inout(w, random_values(w, 10)) : out(w));
  if (p.slice) {
    take_slice(forward.args[0]);
    take_slice(data.args[p.attributes.addend ? 3 : 2]);
    take_slice(weights.args[0]);
  }
  return {forward, data, weights};
}

}  // namespace snug::ops_test
