#include "activation.cuh"

#include "functions.cuh"
#include "map.cuh"

namespace snug::kernels {

namespace {

template <class Choice>
struct Forward {
  Activation kind;
  __device__ float operator()(float x) const { return activate(Choice::of(kind), x); }
};

template <class Choice>
struct BackwardFromInput {
  Activation kind;
  __device__ float operator()(float dy, float x) const { return dy * slope_at_input(Choice::of(kind), x); }
};

template <class Choice>
struct BackwardFromOutput {
  Activation kind;
  __device__ float operator()(float dy, float y) const { return dy * slope_at_output(Choice::of(kind), y); }
};

template <class T, class Function>
void map_one(const void* x, void* y, std::int64_t n, const Function& function, Stream stream) {
  launch_map<1>(static_cast<T*>(y), Inputs<T>{static_cast<const T*>(x), nullptr}, n, function, stream);
}

template <class T, class Function>
void map_two(const void* a, const void* b, void* y, std::int64_t n, const Function& function, Stream stream) {
  launch_map<2>(static_cast<T*>(y), Inputs<T>{static_cast<const T*>(a), static_cast<const T*>(b)}, n, function, stream);
}

}  // namespace

void activation_forward(Data data, Activation kind, const void* x, void* y, std::int64_t n, Stream stream) {
  by_type(data, [&]<class T>() {
    by_activation(kind, [&]<class Choice>() { map_one<T>(x, y, n, Forward<Choice>{kind}, stream); });
  });
}

void activation_backward(Data data, Activation kind, bool from_output, const void* dy, const void* saved, void* dx,
                         std::int64_t n, Stream stream) {
  by_type(data, [&]<class T>() {
    by_activation(kind, [&]<class Choice>() {
      if (from_output) {
        map_two<T>(dy, saved, dx, n, BackwardFromOutput<Choice>{kind}, stream);
      } else {
        map_two<T>(dy, saved, dx, n, BackwardFromInput<Choice>{kind}, stream);
      }
    });
  });
}

}  // namespace snug::kernels
