// What the program tells people about a fault: one finding, and the one exception that carries findings.
#pragma once

#include <exception>
#include <span>
#include <string>
#include <vector>

namespace snug {

enum class Severity { note, warning, error };

/// One fault, found before or during a run. The first letter of `code` is its family:
/// C config, D data, L labels, A architecture, F loss and final layer, T training settings,
/// M memory, G device or driver, N not finite (diverged), I internal.
struct Diagnostic {
  std::string code;  ///< "A104"
  Severity severity = Severity::error;
  std::string where;  ///< "file:line:column", "x.npy[17]", a layer's path, or an option
  std::string what;   ///< both sides with numbers, at most 160 characters
  std::string fix;    ///< a line to paste; never empty
};

/// The only exception of the program; caught by the command line alone. Holds at least one finding.
class Error : public std::exception {
 public:
  explicit Error(Diagnostic finding);
  explicit Error(std::vector<Diagnostic> findings);
  [[nodiscard]] const std::vector<Diagnostic>& findings() const noexcept { return findings_; }
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }

 private:
  std::vector<Diagnostic> findings_;
  std::string text_;
};

[[nodiscard]] bool has_errors(std::span<const Diagnostic> findings);

/// The exit code of the contract: 0 without errors, otherwise the lowest code of the errors' families
/// (C A F T → 2, D L → 3, M → 4, G → 5, N → 6, anything else → 1).
[[nodiscard]] int exit_code(std::span<const Diagnostic> findings);

/// "error A104 at configs/x.toml:12:5: what\n  fix: …"
[[nodiscard]] std::string to_string(const Diagnostic& finding);
[[nodiscard]] std::string_view to_string(Severity severity);

}  // namespace snug
