// zstd: one frame with its content checksum.
#include <zstd.h>

#include "runtime/image/codec_libraries.hpp"

namespace weir::image {
namespace {

constexpr int kLevel = 3;

class ZstdEncoder final : public Encoder {
 public:
  explicit ZstdEncoder(ZSTD_CCtx* context) : context_(context) {}
  ~ZstdEncoder() override { ZSTD_freeCCtx(context_); }

  std::size_t bound(std::size_t bytes) const override { return ZSTD_compressBound(bytes); }
  Expected<std::size_t> encode(Bytes from, Buffer to) override {
    const std::size_t used =
        ZSTD_compress2(context_, to.data(), to.size(), from.data(), from.size());
    if (ZSTD_isError(used) != 0) return too_small();
    return used;
  }

 private:
  ZSTD_CCtx* context_;
};

class ZstdDecoder final : public Decoder {
 public:
  explicit ZstdDecoder(ZSTD_DCtx* context) : context_(context) {}
  ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }

  Expected<> decode(Bytes from, Buffer to) noexcept override {
    if (!is_one_frame(from)) return damaged();
    const std::size_t size =
        ZSTD_decompressDCtx(context_, to.data(), to.size(), from.data(), from.size());
    if (ZSTD_isError(size) != 0 || size != to.size()) return damaged();
    return {};
  }

 private:
  // The library also reads the formats of its first versions, and allocates to do so.
  static bool is_one_frame(Bytes from) noexcept {
    constexpr unsigned char kMagic[] = {0x28, 0xb5, 0x2f, 0xfd};
    if (from.size() < sizeof(kMagic)) return false;
    for (std::size_t i = 0; i < sizeof(kMagic); ++i)
      if (from[i] != std::byte{kMagic[i]}) return false;
    return ZSTD_findFrameCompressedSize(from.data(), from.size()) == from.size();
  }

  ZSTD_DCtx* context_;  // all that decoding a buffer at once needs
};

}  // namespace

std::unique_ptr<Encoder> zstd_encoder() {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  if (context == nullptr) return nullptr;
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kLevel);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  return std::make_unique<ZstdEncoder>(context);
}

std::unique_ptr<Decoder> zstd_decoder() {
  ZSTD_DCtx* context = ZSTD_createDCtx();
  if (context == nullptr) return nullptr;
  return std::make_unique<ZstdDecoder>(context);
}

}  // namespace weir::image
