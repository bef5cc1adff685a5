// The codecs by library, for codec.cpp alone. Each is null when its library has no memory.
#pragma once

#include "runtime/image/codec.hpp"

namespace weir::image {

std::unique_ptr<Encoder> stored_encoder();
std::unique_ptr<Decoder> stored_decoder();
std::unique_ptr<Encoder> zlib_encoder();
std::unique_ptr<Decoder> zlib_decoder();
std::uint32_t zlib_checksum(Bytes bytes) noexcept;
std::unique_ptr<Encoder> zstd_encoder();
std::unique_ptr<Decoder> zstd_decoder();

// Only with WEIR_HAVE_LIBDEFLATE:
std::unique_ptr<Encoder> libdeflate_encoder();
std::unique_ptr<Decoder> libdeflate_decoder();
std::uint32_t libdeflate_checksum(Bytes bytes) noexcept;

// What a decoder and an encoder answer when they cannot.
Unexpected damaged();
Unexpected too_small();

}  // namespace weir::image
