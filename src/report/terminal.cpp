#include "report/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace snug {

namespace {

bool output_lost = false;

std::FILE* file_of(Stream stream) { return stream == Stream::out ? stdout : stderr; }

std::string_view escape_of(Colour colour) {
  switch (colour) {
    case Colour::bold: return "\x1b[1m";
    case Colour::dim: return "\x1b[2m";
    case Colour::red: return "\x1b[1;31m";
    case Colour::yellow: return "\x1b[1;33m";
    case Colour::green: return "\x1b[1;32m";
    case Colour::cyan: return "\x1b[36m";
  }
  return "";
}

}  // namespace

void write(Stream stream, std::string_view text) {
  std::FILE* file = file_of(stream);
  const bool complete = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
  if (!complete && stream == Stream::out && errno != EPIPE) output_lost = true;
}

bool flush_output() {
  if (std::fflush(stdout) != 0 && errno != EPIPE) output_lost = true;
  return !output_lost;
}

bool is_terminal(Stream stream) { return ::isatty(::fileno(file_of(stream))) == 1; }

bool use_colour(Stream stream) {
  const char* no_color = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  if (no_color != nullptr && no_color[0] != '\0') return false;  // no-color.org: when present and not empty
  if (term != nullptr && std::string_view(term) == "dumb") return false;
  return is_terminal(stream);
}

int terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string paint(std::string_view text, Colour colour, bool enabled) {
  if (!enabled) return std::string(text);
  return std::string(escape_of(colour)) + std::string(text) + "\x1b[0m";
}

}  // namespace snug
