// The program: words of the command line in, an exit code out.
#pragma once

namespace snug {

/// Runs one command. Prints its results and findings; catches everything.
[[nodiscard]] int run_cli(int argc, char** argv);

}  // namespace snug
