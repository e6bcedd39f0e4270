// NumPy's .npz: a zip archive of .npy files, stored or deflated, also zip64. The directory at the end is what counts;
// nothing in the file is believed before it was held against the file's size.
#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <zlib.h>

#include "base/text.h"
#include "data/array.h"

namespace snug {

namespace {

struct Member {
  std::string name;
  std::uint64_t packed = 0, size = 0, header = 0;
  std::uint32_t crc = 0;
  unsigned method = 0, flags = 0;
};

class ZipReader {
 public:
  ZipReader(const FileBytes& file, FileUse use, Findings& findings) : file_(file), use_(use), findings_(findings) {}

  /// All members, or a finding.
  std::optional<std::vector<Member>> directory() {
    const auto end = find_end();
    if (!end) return refuse("has no directory at its end: it is cut, or no zip archive");
    if (!read_end(*end)) return std::nullopt;
    std::vector<Member> members;
    std::uint64_t place = directory_begin_;
    for (std::uint64_t i = 0; i < count_; ++i) {
      if (!holds(place, 46) || u32(place) != 0x02014B50) return refuse("has a damaged directory");
      const std::uint64_t name_size = u16(place + 28);
      const std::uint64_t extra_size = u16(place + 30);
      const std::uint64_t comment_size = u16(place + 32);
      if (!holds(place, 46 + name_size + extra_size + comment_size)) return refuse("has a damaged directory");
      Member member{.name = text(place + 46, name_size),
                    .packed = u32(place + 20),
                    .size = u32(place + 24),
                    .header = u32(place + 42),
                    .crc = u32(place + 16),
                    .method = static_cast<unsigned>(u16(place + 10)),
                    .flags = static_cast<unsigned>(u16(place + 8))};
      if (!read_zip64(place + 46 + name_size, extra_size, member)) return refuse("has a damaged zip64 entry");
      members.push_back(std::move(member));
      place += 46 + name_size + extra_size + comment_size;
    }
    if (place != directory_begin_ + directory_size_) return refuse("has a directory of another size than it says");
    if (!apart(members)) return std::nullopt;
    return members;
  }

  /// The member's bytes: a part of the file, or inflated.
  std::optional<FileBytes> open(const Member& member) {
    if ((member.flags & 1U) != 0) return refuse_member(member, "is encrypted");
    if (member.method != 0 && member.method != 8) {
      return refuse_member(
          member, fmt::format("has compression method {}; 0 (stored) and 8 (deflated) are read", member.method));
    }
    const std::uint64_t begin = data_begin(member);
    if (begin == 0) return std::nullopt;
    const auto packed = file_.bytes.subspan(begin, member.packed);
    FileBytes out{
        .path = fmt::format("{}:{}", file_.path, array_name(member.name)), .owner = file_.owner, .bytes = packed};
    out.mapped = file_.mapped;
    if (member.method == 8) {
      auto inflated = inflate_all(member, packed);
      if (!inflated) return std::nullopt;
      out = {.path = out.path, .owner = inflated, .bytes = *inflated, .mapped = false};
    } else if (member.packed != member.size) {
      return refuse_member(member, "is stored with two sizes");
    }
    const auto sum = crc32_z(0, reinterpret_cast<const Bytef*>(out.bytes.data()), out.bytes.size());
    if (static_cast<std::uint32_t>(sum) != member.crc) {
      return refuse_member(member, fmt::format("has the checksum {:08x}, its bytes {:08x}", member.crc,
                                               static_cast<std::uint32_t>(sum)));
    }
    return out;
  }

  static std::string_view array_name(std::string_view name) {
    return name.ends_with(".npy") ? name.substr(0, name.size() - 4) : name;
  }

 private:
  [[nodiscard]] std::uint64_t size() const { return file_.bytes.size(); }
  [[nodiscard]] bool holds(std::uint64_t place, std::uint64_t count) const {
    return place <= size() && count <= size() - place;
  }
  [[nodiscard]] std::uint16_t u16(std::uint64_t place) const {
    return load<std::uint16_t>(file_.bytes.data() + place, false);
  }
  [[nodiscard]] std::uint32_t u32(std::uint64_t place) const {
    return load<std::uint32_t>(file_.bytes.data() + place, false);
  }
  [[nodiscard]] std::uint64_t u64(std::uint64_t place) const {
    return load<std::uint64_t>(file_.bytes.data() + place, false);
  }
  [[nodiscard]] std::string text(std::uint64_t place, std::uint64_t count) const {
    return {reinterpret_cast<const char*>(file_.bytes.data() + place), count};
  }

  std::nullopt_t refuse(std::string_view what) {
    const std::string kind = describe_content(file_.bytes);
    const bool zip = kind == "a zip archive" || kind.empty();
    findings_.push_back(
        data_finding(use_, zip ? DataFault::damaged : DataFault::wrong_format, file_.path,
                     zip ? fmt::format("{} ({} bytes) {}", brief_name(file_.path), size(), what)
                         : fmt::format("{} is not an .npz archive: it is {}", brief_name(file_.path), kind),
                     zip ? fmt::format("rm {}   # and copy or save it again", file_.path)
                         : fmt::format("file {}   # and name an .npz file", file_.path)));
    return std::nullopt;
  }
  std::nullopt_t refuse_member(const Member& member, std::string_view what) {
    findings_.push_back(
        data_finding(use_, DataFault::damaged, file_.path,
                     fmt::format("{}: {} {}", brief_name(file_.path), shorten(member.name, 40), what),
                     fmt::format("np.savez(\"{}\", …)   # write it again, or copy it again", file_.path)));
    return std::nullopt;
  }

  /// The end record: the last place whose comment ends where the file does.
  [[nodiscard]] std::optional<std::uint64_t> find_end() const {
    constexpr std::uint64_t kRecord = 22;
    if (size() < kRecord) return std::nullopt;
    const std::uint64_t last = size() - kRecord;
    for (std::uint64_t back = 0; back <= std::min<std::uint64_t>(last, 65535); ++back) {
      const std::uint64_t place = last - back;
      if (u32(place) == 0x06054B50 && place + kRecord + u16(place + 20) == size()) return place;
    }
    return std::nullopt;
  }

  bool read_end(std::uint64_t end) {
    count_ = u16(end + 10);
    directory_size_ = u32(end + 12);
    directory_begin_ = u32(end + 16);
    const bool large = count_ == 0xFFFF || directory_size_ == 0xFFFFFFFF || directory_begin_ == 0xFFFFFFFF;
    std::uint64_t limit = end;
    if (large && end >= 20 && u32(end - 20) == 0x07064B50) {
      const std::uint64_t record = u64(end - 12);
      if (!holds(record, 56) || record > end - 20 || u32(record) != 0x06064B50) {
        (void)refuse("has a damaged zip64 end record");
        return false;
      }
      count_ = u64(record + 32);
      directory_size_ = u64(record + 40);
      directory_begin_ = u64(record + 48);
      limit = record;
    }
    const bool sound =
        directory_begin_ <= limit && directory_size_ <= limit - directory_begin_ && count_ <= directory_size_ / 46;
    if (!sound) (void)refuse("says its directory lies outside the file: it is cut or damaged");
    return sound;
  }

  bool read_zip64(std::uint64_t place, std::uint64_t count, Member& member) const {
    const std::uint64_t end = place + count;
    while (place + 4 <= end) {
      const unsigned kind = u16(place);
      const std::uint64_t length = u16(place + 2);
      place += 4;
      if (length > end - place) return false;
      if (kind == 1) {
        std::uint64_t at = place;
        for (std::uint64_t* field : {&member.size, &member.packed, &member.header}) {
          if (*field != 0xFFFFFFFF) continue;
          if (at + 8 > place + length) return false;
          *field = u64(at);
          at += 8;
        }
      }
      place += length;
    }
    return true;
  }

  /// Members lie apart, before the directory.
  bool apart(const std::vector<Member>& members) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges;
    for (const Member& member : members) {
      const bool inside = member.header <= directory_begin_ && directory_begin_ - member.header >= 30 &&
                          member.packed <= directory_begin_ - member.header - 30;
      if (!inside) {
        (void)refuse_member(member, "lies outside the file: it is cut or damaged");
        return false;
      }
      ranges.emplace_back(member.header, member.header + 30 + member.packed);
    }
    std::ranges::sort(ranges);
    for (std::size_t i = 1; i < ranges.size(); ++i) {
      if (ranges[i].first >= ranges[i - 1].second) continue;
      (void)refuse("has members that overlap");
      return false;
    }
    return true;
  }

  /// Where the member's data begin; 0 and a finding when the local header is not what the directory says.
  std::uint64_t data_begin(const Member& member) {
    const std::uint64_t place = member.header;
    const bool header = u32(place) == 0x04034B50;
    const std::uint64_t name_size = header ? u16(place + 26) : 0;
    const std::uint64_t begin = place + 30 + name_size + (header ? u16(place + 28) : 0);
    const bool sound = header && begin <= directory_begin_ && member.packed <= directory_begin_ - begin &&
                       text(place + 30, name_size) == member.name;
    if (!sound) (void)refuse_member(member, "has a header that is not the directory's");
    return sound ? begin : 0;
  }

  /// Grows with what really comes out, never by what the file promises.
  std::shared_ptr<std::vector<std::byte>> inflate_all(const Member& member, std::span<const std::byte> packed) {
    const auto damaged = [&](std::string_view what) {
      (void)refuse_member(member, what);
      return nullptr;
    };
    constexpr std::uint64_t kMostRatio = 1040;  // deflate's is 1,032
    if (member.size > packed.size() * kMostRatio + 1024) return damaged("promises more than its bytes can hold");
    z_stream z{};
    if (inflateInit2(&z, -15) != Z_OK) return damaged("cannot be inflated");
    const std::unique_ptr<z_stream, int (*)(z_stream*)> closer(&z, inflateEnd);
    auto out = std::make_shared<std::vector<std::byte>>();
    constexpr std::uint64_t kMost = 1U << 30;
    std::uint64_t done = 0;
    std::size_t taken = 0;
    int status = Z_OK;
    while (status == Z_OK) {
      if (z.avail_in == 0 && taken < packed.size()) {
        const std::size_t piece = std::min<std::size_t>(packed.size() - taken, kMost);
        z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data() + taken));
        z.avail_in = static_cast<uInt>(piece);
        taken += piece;
      }
      if (done == out->size()) {
        if (done == member.size) {  // a byte more would be one too many
          std::byte extra{};
          z.next_out = reinterpret_cast<Bytef*>(&extra);
          z.avail_out = 1;
          status = inflate(&z, Z_NO_FLUSH);
          if (z.avail_out == 0) return damaged("inflates to more than it says");
          if (status == Z_OK && z.avail_in == 0 && taken == packed.size()) status = Z_BUF_ERROR;
          continue;
        }
        out->resize(std::min<std::uint64_t>(member.size, std::max<std::uint64_t>(done * 2, 1U << 20)));
      }
      const auto room = static_cast<uInt>(std::min<std::uint64_t>(out->size() - done, kMost));
      z.next_out = reinterpret_cast<Bytef*>(out->data() + done);
      z.avail_out = room;
      status = inflate(&z, Z_NO_FLUSH);
      done += room - z.avail_out;
      if (status == Z_OK && z.avail_in == 0 && taken == packed.size() && z.avail_out != 0) status = Z_BUF_ERROR;
    }
    if (status != Z_STREAM_END || done != member.size) {
      return damaged(
          fmt::format("inflates to {} of {} bytes", format_count(static_cast<std::int64_t>(done)),
                      format_count(static_cast<std::int64_t>(std::min<std::uint64_t>(member.size, 1ULL << 62)))));
    }
    return out;
  }

  const FileBytes& file_;
  FileUse use_;
  Findings& findings_;
  std::uint64_t count_ = 0, directory_begin_ = 0, directory_size_ = 0;
};

std::string names_of(const std::vector<Member>& members) {
  std::string text;
  for (const Member& member : members) {
    if (!text.empty()) text += ", ";
    text += ZipReader::array_name(member.name);
  }
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return shorten(text, 90);
}

}  // namespace

std::optional<Array> read_npz(const FileBytes& file, std::string_view name, FileUse use, Findings& findings) {
  ZipReader reader(file, use, findings);
  const auto members = reader.directory();
  if (!members) return std::nullopt;
  const std::string key = use == FileUse::labels ? "labels" : "images";
  const auto found = std::ranges::find_if(*members, [&](const Member& member) {
    return name.empty() ? members->size() == 1 : ZipReader::array_name(member.name) == name || member.name == name;
  });
  if (found == members->end()) {
    std::vector<std::string> names;
    for (const Member& member : *members) names.emplace_back(ZipReader::array_name(member.name));
    const auto near = nearest(name, names);
    findings.push_back(data_finding(use, DataFault::missing, file.path,
                                    members->empty() ? fmt::format("{} holds no arrays", brief_name(file.path))
                                    : name.empty()
                                        ? fmt::format("{} holds {} arrays; name one: {}", brief_name(file.path),
                                                      members->size(), names_of(*members))
                                        : fmt::format("{} has no array {}; it has {}", brief_name(file.path),
                                                      shorten(name, 30), names_of(*members)),
                                    fmt::format("{} = \"{}:{}\"", key, brief_name(file.path),
                                                near            ? *near
                                                : names.empty() ? "ARRAY"
                                                                : shorten(names[0], 60))));
    return std::nullopt;
  }
  auto bytes = reader.open(*found);
  if (!bytes) return std::nullopt;
  return read_npy(std::move(*bytes), use, findings);
}

std::optional<std::vector<std::string>> npz_names(const FileBytes& file, Findings& findings) {
  ZipReader reader(file, FileUse::images, findings);
  const auto members = reader.directory();
  if (!members) return std::nullopt;
  std::vector<std::string> names;
  for (const Member& member : *members) names.emplace_back(ZipReader::array_name(member.name));
  return names;
}

}  // namespace snug
