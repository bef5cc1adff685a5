// The zlib format by libdeflate. Compiled to nothing where that is absent.
#ifdef WEIR_HAVE_LIBDEFLATE
#include <libdeflate.h>

#include "runtime/image/codec_libraries.hpp"

namespace weir::image {
namespace {

constexpr int kLevel = 1;  // worlds are stopped while heaps are saved; 6 takes three times as long

class LibdeflateEncoder final : public Encoder {
 public:
  explicit LibdeflateEncoder(libdeflate_compressor* compressor) : compressor_(compressor) {}
  ~LibdeflateEncoder() override { libdeflate_free_compressor(compressor_); }

  std::size_t bound(std::size_t bytes) const override {
    return libdeflate_zlib_compress_bound(compressor_, bytes);
  }
  Expected<std::size_t> encode(Bytes from, Buffer to) override {
    const std::size_t used =
        libdeflate_zlib_compress(compressor_, from.data(), from.size(), to.data(), to.size());
    if (used == 0) return too_small();
    return used;
  }

 private:
  libdeflate_compressor* compressor_;
};

class LibdeflateDecoder final : public Decoder {
 public:
  explicit LibdeflateDecoder(libdeflate_decompressor* decompressor) : decompressor_(decompressor) {}
  ~LibdeflateDecoder() override { libdeflate_free_decompressor(decompressor_); }

  Expected<> decode(Bytes from, Buffer to) noexcept override {
    std::size_t used = 0;
    // Without a place for the actual size, anything but exactly to.size() bytes is an error.
    const libdeflate_result result = libdeflate_zlib_decompress_ex(
        decompressor_, from.data(), from.size(), to.data(), to.size(), &used, nullptr);
    if (result != LIBDEFLATE_SUCCESS || used != from.size()) return damaged();
    return {};
  }

 private:
  libdeflate_decompressor* decompressor_;  // all that decoding needs
};

}  // namespace

std::unique_ptr<Encoder> libdeflate_encoder() {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(kLevel);
  if (compressor == nullptr) return nullptr;
  return std::make_unique<LibdeflateEncoder>(compressor);
}

std::unique_ptr<Decoder> libdeflate_decoder() {
  libdeflate_decompressor* decompressor = libdeflate_alloc_decompressor();
  if (decompressor == nullptr) return nullptr;
  return std::make_unique<LibdeflateDecoder>(decompressor);
}

std::uint32_t libdeflate_checksum(Bytes bytes) noexcept {
  return libdeflate_crc32(0, bytes.data(), bytes.size());
}

}  // namespace weir::image
#endif
