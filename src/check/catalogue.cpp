#include "check/catalogue.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace snug {

namespace {

struct Family {
  char letter;
  std::string_view title;
};
constexpr std::array kFamilies{Family{'C', "Config and command line"},
                               Family{'D', "Data"},
                               Family{'L', "Labels"},
                               Family{'A', "Architecture"},
                               Family{'F', "Loss and final layer"},
                               Family{'T', "Training"},
                               Family{'M', "Memory and disk"},
                               Family{'G', "Device and driver"},
                               Family{'N', "Not finite"},
                               Family{'I', "Internal"}};

constexpr std::string_view kIntroduction = R"(# Findings

Everything that the program can find wrong, by code. `snug check CONFIG` looks for all of it in one pass before anything
runs, and `snug train` does so by itself. A finding says where it is, both sides with numbers, and a line to paste:

```
error L203 at y.npy[4]: labels are 1 to 10 for 10 outputs: class numbers start at 0
  fix: label_offset = -1
```

- An **error** cannot run, or cannot give a meaningful result whatever was meant. A **warning** may be meant
  (`--strict` makes it an error). A **note** is worth knowing and never a fault.
- One cause is one finding; findings are ordered by place. The exit code is the lowest of the errors'.
- Of a code only the letter is a promise to scripts.
- Where a look at all data would take long, a part is looked at and a note says so: `--full` looks at everything.
- T201 to T209 come from one real batch, run through the training program on this machine's CPU in a process of its own.
  `--deep` trains a little as well: can the network learn one batch, does what is frozen stay, do the labels belong to
  their images.
- T301 and above, D151 and D152 are told while a training runs, each once.

This page is written from the table in the program (`src/check/catalogue_entries.cpp`).
)";

std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '|' ? std::string("\\|") : std::string(1, c);
  return out;
}

}  // namespace

const CatalogueEntry* find_code(std::string_view code) {
  const auto entries = catalogue();
  const auto found = std::ranges::find(entries, code, &CatalogueEntry::code);
  return found == entries.end() ? nullptr : &*found;
}

std::string findings_reference() {
  std::string out(kIntroduction);
  for (const Family& family : kFamilies) {
    out += fmt::format(
        "\n## {}: {} (exit code {})\n\n| code | severity | meaning | example | fix |\n|---|---|---|---|---|\n",
        family.letter, family.title, exit_code(std::array{Diagnostic{.code = std::string(1, family.letter)}}));
    for (const CatalogueEntry& entry : catalogue()) {
      if (entry.code.front() != family.letter) continue;
      out += fmt::format("| {} | {} | {} | `{}` | `{}` |\n", entry.code, to_string(entry.severity), cell(entry.meaning),
                         cell(entry.example), cell(entry.fix));
    }
  }
  return out;
}

}  // namespace snug
