// What the words of a file's name say of the array in it.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <optional>
#include <utility>

#include "data/recognize.h"

namespace snug {

namespace {

constexpr std::array kTrainWords{"train", "training", "trn"};
constexpr std::array kValWords{"val", "valid", "validation", "dev", "eval"};
constexpr std::array kTestWords{"test", "testing", "t10k", "tst"};
constexpr std::array kImageWords{"x",    "image", "images", "img",      "imgs",   "data",
                                 "pics", "photo", "photos", "pictures", "pixels", "features"};
constexpr std::array kLabelWords{"y", "label", "labels", "lbl", "target", "targets", "class", "classes"};

template <std::size_t N>
bool among(const std::array<const char*, N>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

SplitName split_word(std::string_view word) {
  if (among(kTrainWords, word)) return SplitName::train;
  if (among(kValWords, word)) return SplitName::val;
  return among(kTestWords, word) ? SplitName::test : SplitName::none;
}

ArrayRole role_word(std::string_view word) {
  if (among(kImageWords, word)) return ArrayRole::images;
  return among(kLabelWords, word) ? ArrayRole::labels : ArrayRole::none;
}

/// "XTrain", "xtrain" and "trainimages" are two words in one.
std::optional<std::pair<SplitName, ArrayRole>> joined_word(std::string_view word) {
  for (std::size_t cut = 1; cut < word.size(); ++cut) {
    const std::string_view head = word.substr(0, cut), tail = word.substr(cut);
    if (role_word(head) != ArrayRole::none && split_word(tail) != SplitName::none)
      return std::pair(split_word(tail), role_word(head));
    if (split_word(head) != SplitName::none && role_word(tail) != ArrayRole::none)
      return std::pair(split_word(head), role_word(tail));
  }
  return std::nullopt;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || byte >= 0x80) {
      word += static_cast<char>(std::tolower(byte));
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

}  // namespace

NameParts parts_of_name(std::string_view path) {
  NameParts parts;
  for (const std::string& word : words_of(path)) {
    const auto joined = joined_word(word);
    const SplitName split = joined ? joined->first : split_word(word);
    const ArrayRole role = joined ? joined->second : role_word(word);
    if (split != SplitName::none) parts.split = split;
    if (role != ArrayRole::none) parts.role = role;
    if (split == SplitName::none && role == ArrayRole::none) parts.rest += (parts.rest.empty() ? "" : " ") + word;
  }
  return parts;
}

}  // namespace snug
