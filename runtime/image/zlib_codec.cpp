// The zlib format by zlib itself.
#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "runtime/image/codec_libraries.hpp"

namespace weir::image {
namespace {

constexpr std::size_t kMaxBytes = std::numeric_limits<uInt>::max();

// zlib's interface predates const.
Bytef* as_input(Bytes from) {
  return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(from.data()));
}

// The world may be stopped while heaps are saved: all memory is there from the start, and speed
// comes before size.
class ZlibEncoder final : public Encoder {
 public:
  ZlibEncoder() { ready_ = deflateInit(&stream_, Z_BEST_SPEED) == Z_OK; }
  ~ZlibEncoder() override {
    if (ready_) deflateEnd(&stream_);
  }
  ZlibEncoder(const ZlibEncoder&) = delete;
  ZlibEncoder& operator=(const ZlibEncoder&) = delete;

  bool is_ready() const { return ready_; }

  std::size_t bound(std::size_t bytes) const override { return compressBound(bytes); }
  Expected<std::size_t> encode(Bytes from, Buffer to) override {
    if (from.size() > kMaxBytes || deflateReset(&stream_) != Z_OK) return too_small();
    Bytef nothing = 0;
    stream_.next_in = from.empty() ? &nothing : as_input(from);
    stream_.avail_in = static_cast<uInt>(from.size());
    stream_.next_out = to.empty() ? &nothing : reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(std::min(to.size(), kMaxBytes));
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) return too_small();
    return stream_.total_out;
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
};

// inflate asks for its window when it first needs one, in the midst of decoding, and keeps it: all
// memory is part of this object, and handed out front to back.
class ZlibDecoder final : public Decoder {
 public:
  ZlibDecoder() {
    stream_.zalloc = [](voidpf self, uInt items, uInt size) -> voidpf {
      return static_cast<ZlibDecoder*>(self)->allocate(std::size_t{items} * size);
    };
    stream_.zfree = [](voidpf, voidpf) {};
    stream_.opaque = this;
    ready_ = inflateInit(&stream_) == Z_OK;
  }
  ~ZlibDecoder() override {
    if (ready_) inflateEnd(&stream_);
  }
  ZlibDecoder(const ZlibDecoder&) = delete;
  ZlibDecoder& operator=(const ZlibDecoder&) = delete;

  bool is_ready() const { return ready_; }

  Expected<> decode(Bytes from, Buffer to) noexcept override {
    if (from.size() > kMaxBytes || to.size() > kMaxBytes || inflateReset(&stream_) != Z_OK)
      return damaged();
    Bytef nothing = 0;  // where an empty result would go: zlib refuses a null pointer
    stream_.next_in = as_input(from);
    stream_.avail_in = static_cast<uInt>(from.size());
    stream_.next_out = to.empty() ? &nothing : reinterpret_cast<Bytef*>(to.data());
    stream_.avail_out = static_cast<uInt>(to.size());
    const int result = inflate(&stream_, Z_FINISH);
    if (result != Z_STREAM_END || stream_.avail_in != 0 || stream_.avail_out != 0) return damaged();
    return {};
  }

 private:
  static constexpr std::size_t kMemory = 64 << 10;  // state 7 KiB, window 32 KiB and some

  void* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 15) & ~std::size_t{15};
    if (rounded > kMemory - used_) return nullptr;
    void* memory = memory_.data() + used_;
    used_ += rounded;
    return memory;
  }

  z_stream stream_ = {};
  bool ready_ = false;
  std::size_t used_ = 0;
  alignas(16) std::array<std::byte, kMemory> memory_;
};

}  // namespace

std::unique_ptr<Encoder> zlib_encoder() {
  auto encoder = std::make_unique<ZlibEncoder>();
  if (!encoder->is_ready()) return nullptr;
  return encoder;
}

std::unique_ptr<Decoder> zlib_decoder() {
  auto decoder = std::make_unique<ZlibDecoder>();
  if (!decoder->is_ready()) return nullptr;
  return decoder;
}

std::uint32_t zlib_checksum(Bytes bytes) noexcept {
  return static_cast<std::uint32_t>(crc32_z(0, as_input(bytes), bytes.size()));
}

}  // namespace weir::image
