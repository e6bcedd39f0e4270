// A program that trains through the installed library: consumer CONFIG OUT.
#include <snug/trainer.h>

#include <iostream>

struct Printer : snug::Reporter {
  void on_event(const snug::TrainEvent& event) override {
    if (const auto* plan = std::get_if<snug::PlanEvent>(&event)) std::cout << "batch " << plan->plan.batch << '\n';
  }
};

int main(int, char** argv) try {
  Printer printer;
  const snug::DoneEvent done = snug::train(snug::load_config(argv[1]), {.out = argv[2], .max_steps = 2}, printer);
  std::cout << "planned " << done.planned_peak_bytes << " bytes\n";
} catch (const snug::Error& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
