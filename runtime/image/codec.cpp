#include "runtime/image/codec.hpp"

#include <string>

#include "runtime/image/codec_libraries.hpp"

namespace weir::image {
namespace {

template <class Made>
Expected<Made> made_or_no_memory(Made made) {
  if (made == nullptr) return fail(ErrorCode::out_of_memory, "setting up a codec");
  return made;
}

Expected<> check_present(Codec codec, ZlibLibrary library) {
#ifndef WEIR_HAVE_LIBDEFLATE
  if (codec == Codec::zlib && library == ZlibLibrary::libdeflate)
    return fail(ErrorCode::unsupported, "choosing a codec", "Weir was built without libdeflate");
#endif
  (void)codec, (void)library;
  return {};
}

}  // namespace

const char* name_of(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "none";
    case Codec::zlib:
      return "zlib";
    case Codec::zstd:
      return "zstd";
  }
  return "unknown";
}

Expected<Codec> parse_codec(std::string_view name) {
  std::string known;
  for (Codec codec : kCodecs) {
    if (name == name_of(codec)) return codec;
    known += known.empty() ? "" : ", ";
    known += name_of(codec);
  }
  return fail(
      ErrorCode::invalid_argument, "choosing a codec",
      std::string_view(std::string(name.substr(0, 32)) + " is unknown; known are " + known));
}

ZlibLibrary best_zlib_library() {
#ifdef WEIR_HAVE_LIBDEFLATE
  return ZlibLibrary::libdeflate;
#else
  return ZlibLibrary::zlib;
#endif
}

const char* name_of(ZlibLibrary library) {
  return library == ZlibLibrary::libdeflate ? "libdeflate" : "zlib";
}

const char* library_of(Codec codec) {
  switch (codec) {
    case Codec::none:
      return "";
    case Codec::zlib:
      return name_of(best_zlib_library());
    case Codec::zstd:
      return "zstd";
  }
  return "";
}

Expected<std::unique_ptr<Encoder>> Encoder::create(Codec codec, ZlibLibrary library) {
  if (auto present = check_present(codec, library); !present) return Unexpected(present.error());
  switch (codec) {
    case Codec::none:
      return made_or_no_memory(stored_encoder());
    case Codec::zstd:
      return made_or_no_memory(zstd_encoder());
    case Codec::zlib:
      break;
  }
#ifdef WEIR_HAVE_LIBDEFLATE
  if (library == ZlibLibrary::libdeflate) return made_or_no_memory(libdeflate_encoder());
#endif
  return made_or_no_memory(zlib_encoder());
}

Expected<std::unique_ptr<Decoder>> Decoder::create(Codec codec, ZlibLibrary library) {
  if (auto present = check_present(codec, library); !present) return Unexpected(present.error());
  switch (codec) {
    case Codec::none:
      return made_or_no_memory(stored_decoder());
    case Codec::zstd:
      return made_or_no_memory(zstd_decoder());
    case Codec::zlib:
      break;
  }
#ifdef WEIR_HAVE_LIBDEFLATE
  if (library == ZlibLibrary::libdeflate) return made_or_no_memory(libdeflate_decoder());
#endif
  return made_or_no_memory(zlib_decoder());
}

std::uint32_t checksum(Bytes bytes) noexcept {
#ifdef WEIR_HAVE_LIBDEFLATE
  return libdeflate_checksum(bytes);
#else
  return zlib_checksum(bytes);
#endif
}

Unexpected damaged() {
  return fail(ErrorCode::invalid_argument, "decoding",
              "the data is damaged, or not of the expected size");
}

Unexpected too_small() {
  return fail(ErrorCode::invalid_argument, "encoding", "the buffer is too small for the result");
}

}  // namespace weir::image
