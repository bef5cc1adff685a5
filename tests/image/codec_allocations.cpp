// Decoding allocates nothing, damaged input included [quiet-server]. A program of its own, since it
// puts itself in the place of malloc: every allocation that a library makes goes through here.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "runtime/image/codec.hpp"
#include "tests/support/counted_malloc.hpp"

namespace weir::image {
namespace {

bool decodes_quietly(Codec codec, ZlibLibrary library) {
  auto encoder = Encoder::create(codec, library);
  auto decoder = Decoder::create(codec, library);
  if (!encoder || !decoder) return false;
  std::vector<std::byte> data(70000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * i >> 7);
  std::vector<std::byte> encoded((*encoder)->bound(data.size()));
  encoded.resize((*encoder)->encode(data, encoded).value());
  std::vector<std::byte> decoded(data.size());

  const std::size_t before = allocations;
  bool right = (*decoder)->decode(encoded, decoded).has_value() && decoded == data;
  const std::byte first_byte = encoded[0];
  for (std::size_t bytes = 0; bytes < encoded.size(); bytes += 97)
    right = right && !(*decoder)->decode(Bytes(encoded).first(bytes), decoded);
  for (int value = 0; value < 256; ++value) {  // first versions of zstd differ in the first byte
    encoded[0] = static_cast<std::byte>(value);
    (void)(*decoder)->decode(encoded, decoded);
  }
  encoded[0] = first_byte;
  right = right && (*decoder)->decode(encoded, decoded).has_value();
  const std::size_t made = allocations - before;
  std::printf("%s by %s: %s, %zu allocations\n", name_of(codec),
              codec == Codec::zlib ? name_of(library) : library_of(codec),
              right ? "decoded" : "WRONG", made);
  return right && made == 0;
}

bool counts_at_all() {
  const std::size_t before = allocations;
  auto decoder = Decoder::create(Codec::zstd);
  return decoder.has_value() && allocations > before + 1;  // ours, and one of libzstd
}

}  // namespace
}  // namespace weir::image

int main() {
  using namespace weir::image;
  bool quiet = counts_at_all();
  if (!quiet) std::printf("this program does not see the allocations of libraries\n");
  quiet = decodes_quietly(Codec::none, best_zlib_library()) && quiet;
  quiet = decodes_quietly(Codec::zstd, best_zlib_library()) && quiet;
  quiet = decodes_quietly(Codec::zlib, ZlibLibrary::zlib) && quiet;
  quiet = decodes_quietly(Codec::zlib, best_zlib_library()) && quiet;
  return quiet ? 0 : 1;
}
