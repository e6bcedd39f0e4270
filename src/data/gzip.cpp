#include "data/gzip.h"

#include <algorithm>

#include <zlib.h>

#include "base/ensure.h"

namespace snug {

struct GzipReader::Stream {
  z_stream z{};
};

bool is_gzip(std::span<const std::byte> bytes) {
  return bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B};
}

GzipReader::GzipReader(std::span<const std::byte> compressed) : stream_(std::make_unique<Stream>()), rest_(compressed) {
  const int status = inflateInit2(&stream_->z, 15 + 16);  // the largest window; gzip's header and trailer
  ensure(status == Z_OK, "zlib is ready");
}

GzipReader::~GzipReader() { inflateEnd(&stream_->z); }

std::size_t GzipReader::read(std::span<std::byte> out) {
  constexpr std::size_t kMost = 1U << 30;  // zlib counts in 32 bits
  z_stream& z = stream_->z;
  std::size_t done = 0;
  while (done < out.size() && !finished_ && damage_.empty()) {
    if (z.avail_in == 0) {
      const std::size_t piece = std::min(rest_.size(), kMost);
      z.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(rest_.data()));
      z.avail_in = static_cast<uInt>(piece);
      rest_ = rest_.subspan(piece);
    }
    const std::size_t room = std::min(out.size() - done, kMost);
    z.next_out = reinterpret_cast<Bytef*>(out.data() + done);
    z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&z, Z_NO_FLUSH);
    done += room - z.avail_out;
    if (status == Z_STREAM_END) {
      if (z.avail_in == 0 && rest_.empty()) {
        finished_ = true;
      } else {
        inflateReset(&z);  // another member; anything else fails as a header
      }
    } else if (status == Z_BUF_ERROR || (status == Z_OK && z.avail_in == 0 && rest_.empty() && z.avail_out != 0)) {
      damage_ = "the compressed stream ends early";
    } else if (status != Z_OK) {
      damage_ = z.msg != nullptr ? z.msg : "the compressed stream is damaged";
    }
  }
  return done;
}

}  // namespace snug
