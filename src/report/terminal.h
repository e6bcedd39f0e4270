// Where text goes, and what the other end can show. Writing never fails loudly: a reader that went away (a closed
// pipe) must not end a training run.
#pragma once

#include <string>
#include <string_view>

namespace snug {

enum class Stream { out, error };

void write(Stream stream, std::string_view text);

/// False when something written to standard output was lost for another reason than a closed pipe (a full disk).
[[nodiscard]] bool flush_output();

[[nodiscard]] bool is_terminal(Stream stream);
/// A terminal, and neither NO_COLOR nor TERM=dumb asks for plain text.
[[nodiscard]] bool use_colour(Stream stream);
/// Columns; 80 where there is no terminal.
[[nodiscard]] int terminal_width();

enum class Colour { bold, dim, red, yellow, green, cyan };
/// `text` in colour when `enabled`.
[[nodiscard]] std::string paint(std::string_view text, Colour colour, bool enabled);

}  // namespace snug
