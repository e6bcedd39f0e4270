// Trains a network and classifies pictures with it: consumer CONFIG RUN FILE…
#include <snug/trainer.h>

#include <filesystem>
#include <iostream>
#include <vector>

// Hears of everything that happens; plan and epochs are enough here.
struct Printer : snug::Reporter {
  void on_event(const snug::TrainEvent& event) override {
    if (const auto* plan = std::get_if<snug::PlanEvent>(&event))
      std::cout << "batch " << plan->plan.batch << ", " << plan->plan.total_bytes << " bytes planned\n";
    if (const auto* epoch = std::get_if<snug::EpochEvent>(&event))
      std::cout << "epoch " << epoch->epoch << ": loss " << epoch->train_loss << '\n';
  }
};

int main(int argc, char** argv) try {
  if (argc < 4) {
    std::cerr << "usage: consumer CONFIG RUN FILE…\n";
    return 2;
  }
  const std::filesystem::path run = argv[2];
  const std::vector<std::filesystem::path> files(argv + 3, argv + argc);
  const snug::Config config = snug::load_config(argv[1], {.set = {{"train.epochs", "2"}}});
  Printer printer;
  const snug::DoneEvent done = snug::train(config, {.out = run}, printer);
  std::cout << "took " << done.measured_peak_bytes << " bytes; accuracy " << snug::evaluate(run, {}).accuracy << '\n';

  std::vector<snug::Diagnostic> findings;  // files that cannot be read; the others are predicted all the same
  for (const snug::Prediction& image : snug::predict(run, files, 0, findings))
    std::cout << image.file << ": " << image.label << ' ' << 100 * image.probability << " %\n";
  for (const snug::Diagnostic& finding : findings) std::cerr << snug::to_string(finding) << '\n';
  return snug::exit_code(findings);
} catch (const snug::Error& error) {
  std::cerr << error.what() << '\n';
  return snug::exit_code(error.findings());
}
