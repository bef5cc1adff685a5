// How the pages of a heap image, or of any backing file, are compressed: encoders for whoever
// writes it, decoders for whoever fills missing pages.
//
// A decoder has all its memory from the start: decoding allocates nothing, takes no lock and binds
// no symbol, so the fault path may do it [quiet-server]. One thread at a time per object.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <weir/error.hpp>

namespace weir::image {

enum class Codec : std::uint8_t {
  none,  // the bytes as they are: damage shows in checksum() alone
  zlib,  // RFC 1950
  zstd,  // RFC 8878: one frame, with its checksum
};
inline constexpr std::array kCodecs = {Codec::none, Codec::zlib, Codec::zstd};

const char* name_of(Codec codec);
// An unknown name is an error that lists the known ones.
Expected<Codec> parse_codec(std::string_view name);

// Who reads and writes the zlib format. Either reads what the other wrote.
enum class ZlibLibrary { libdeflate, zlib };
// libdeflate, where Weir was built with it: it inflates pages twice as fast.
ZlibLibrary best_zlib_library();
const char* name_of(ZlibLibrary library);
// Which library does the work: "libdeflate", "zstd", ...; "" for none.
const char* library_of(Codec codec);

using Bytes = std::span<const std::byte>;
using Buffer = std::span<std::byte>;

class Encoder {
 public:
  static Expected<std::unique_ptr<Encoder>> create(Codec codec,
                                                   ZlibLibrary library = best_zlib_library());
  virtual ~Encoder() = default;

  // The most bytes that so many can become.
  virtual std::size_t bound(std::size_t bytes) const = 0;
  // Returns how many bytes of `to` were used. Error invalid_argument: `to` is too small, which one
  // of bound() bytes never is.
  virtual Expected<std::size_t> encode(Bytes from, Buffer to) = 0;
};

class Decoder {
 public:
  static Expected<std::unique_ptr<Decoder>> create(Codec codec,
                                                   ZlibLibrary library = best_zlib_library());
  virtual ~Decoder() = default;

  // `from` is all of one encoding, and becomes exactly to.size() bytes. Error invalid_argument: it
  // is damaged, or of another size; the content of `to` is unspecified then, and nothing outside it
  // was touched. For the fault path.
  //
  // Compare checksum(from) with a saved one first: the zlib format ends in an Adler-32, which lets
  // about one damaged byte in a thousand pass where the data are small numbers, as a heap's are.
  virtual Expected<> decode(Bytes from, Buffer to) noexcept = 0;
};

// CRC-32 (ISO-HDLC), the same whichever library computes it. For the fault path.
std::uint32_t checksum(Bytes bytes) noexcept;

}  // namespace weir::image
