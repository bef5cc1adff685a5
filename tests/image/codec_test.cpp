#include "runtime/image/codec.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "tests/support/random.hpp"

namespace weir::image {
namespace {

using Data = std::vector<std::byte>;

struct Pair {
  Codec codec;
  ZlibLibrary encoder;
  ZlibLibrary decoder;
};

// Every codec, and zlib in all combinations of the libraries that are here.
std::vector<Pair> pairs() {
  std::vector<Pair> pairs = {{Codec::none, best_zlib_library(), best_zlib_library()},
                             {Codec::zstd, best_zlib_library(), best_zlib_library()},
                             {Codec::zlib, ZlibLibrary::zlib, ZlibLibrary::zlib}};
  if (best_zlib_library() == ZlibLibrary::libdeflate) {
    pairs.push_back({Codec::zlib, ZlibLibrary::libdeflate, ZlibLibrary::libdeflate});
    pairs.push_back({Codec::zlib, ZlibLibrary::libdeflate, ZlibLibrary::zlib});
    pairs.push_back({Codec::zlib, ZlibLibrary::zlib, ZlibLibrary::libdeflate});
  }
  return pairs;
}

std::string name_of(const Pair& pair) {
  return std::string(image::name_of(pair.codec)) + ", written by " + image::name_of(pair.encoder) +
         ", read by " + image::name_of(pair.decoder);
}

Data random_bytes(test::Random& random, std::size_t size) {
  Data data(size);
  for (std::byte& b : data) b = static_cast<std::byte>(random());
  return data;
}

// Like a heap: few tags, small numbers, repeated pieces.
Data structured_bytes(test::Random& random, std::size_t size) {
  Data data(size);
  for (std::size_t i = 0; i < size;) {
    const std::size_t run = std::min<std::size_t>(size - i, 1 + random() % 64);
    const bool repeat = i >= 256 && random() % 2 == 0;
    for (std::size_t k = 0; k < run; ++k, ++i)
      data[i] = repeat ? data[i - 256] : static_cast<std::byte>(random() % 8);
  }
  return data;
}

Data encode(const Pair& pair, const Data& data) {
  auto encoder = Encoder::create(pair.codec, pair.encoder);
  REQUIRE(encoder.has_value());
  Data encoded((*encoder)->bound(data.size()));
  const auto size = (*encoder)->encode(data, encoded);
  REQUIRE(size.has_value());
  encoded.resize(*size);
  return encoded;
}

// A buffer between two guards, which nothing may touch.
class Guarded {
 public:
  explicit Guarded(std::size_t size) : memory_(size + 2 * kGuard, kPattern) {}
  Buffer buffer() { return Buffer(memory_).subspan(kGuard, memory_.size() - 2 * kGuard); }
  bool is_intact() const {
    const auto untouched = [](std::byte b) { return b == kPattern; };
    return std::all_of(memory_.begin(), memory_.begin() + kGuard, untouched) &&
           std::all_of(memory_.end() - kGuard, memory_.end(), untouched);
  }

 private:
  static constexpr std::ptrdiff_t kGuard = 4096;
  static constexpr std::byte kPattern{0xa5};
  Data memory_;
};

constexpr std::size_t kSizes[] = {0, 1, 15, 4095, 4096, 4097, 65536, 300000};

TEST_CASE("what was encoded decodes to itself, whoever encoded it") {
  test::Random random(test::seed_for("codec round trip"));
  for (const Pair& pair : pairs()) {
    CAPTURE(name_of(pair));
    auto decoder = Decoder::create(pair.codec, pair.decoder);
    REQUIRE(decoder.has_value());
    for (std::size_t round = 0; round < test::scaled(20); ++round) {
      for (std::size_t size : kSizes) {
        CAPTURE(size);
        const Data data =
            round % 2 == 0 ? structured_bytes(random, size) : random_bytes(random, size);
        Guarded decoded(size);
        REQUIRE((*decoder)->decode(encode(pair, data), decoded.buffer()).has_value());
        REQUIRE(std::equal(data.begin(), data.end(), decoded.buffer().begin()));
        REQUIRE(decoded.is_intact());
      }
    }
  }
}

TEST_CASE("structured pages get smaller") {
  test::Random random(test::seed_for("codec ratio"));
  const Data data = structured_bytes(random, 65536);
  for (const Pair& pair : pairs())
    if (pair.codec != Codec::none) CHECK(encode(pair, data).size() < data.size() / 2);
}

TEST_CASE("any other size than the right one is an error") {
  test::Random random(test::seed_for("codec sizes"));
  const Data data = structured_bytes(random, 4096);
  for (const Pair& pair : pairs()) {
    CAPTURE(name_of(pair));
    const Data encoded = encode(pair, data);
    auto decoder = Decoder::create(pair.codec, pair.decoder);
    REQUIRE(decoder.has_value());
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{4095}, std::size_t{4097},
                             std::size_t{65536}}) {
      CAPTURE(size);
      Guarded decoded(size);
      const auto result = (*decoder)->decode(encoded, decoded.buffer());
      REQUIRE(!result.has_value());
      CHECK(result.error().code == ErrorCode::invalid_argument);
      CHECK(decoded.is_intact());
    }
    Data longer = encoded;
    longer.push_back(std::byte{0});
    Guarded decoded(data.size());
    CHECK(!(*decoder)->decode(longer, decoded.buffer()).has_value());
    CHECK(!(*decoder)->decode({}, decoded.buffer()).has_value());
    // A failure leaves no trace in the decoder.
    CHECK((*decoder)->decode(encoded, decoded.buffer()).has_value());
  }
}

// The formats' own checksums are not alike: zlib's is weak on small numbers (three neighbours that
// change by d, -2d and d pass), so a few wrong pages get through it. None gets through checksum().
TEST_CASE("damaged and truncated input is an error, and nothing is overrun") {
  test::Random random(test::seed_for("codec damage"));
  const std::size_t rounds = test::scaled(3000);
  for (const Pair& pair : pairs()) {
    CAPTURE(name_of(pair));
    auto decoder = Decoder::create(pair.codec, pair.decoder);
    REQUIRE(decoder.has_value());
    std::size_t accepted = 0;
    std::size_t wrong = 0;
    for (std::size_t round = 0; round < rounds; ++round) {
      const Data data = structured_bytes(random, 1 + random() % 9000);
      Data encoded = encode(pair, data);
      const std::uint32_t sum = checksum(encoded);
      const bool truncated = round % 3 == 0;
      if (truncated)
        encoded.resize(random() % encoded.size());
      else
        encoded[random() % encoded.size()] ^= static_cast<std::byte>(1 + random() % 255);
      REQUIRE(checksum(encoded) != sum);

      // In a block of its own size, so that a sanitizer sees a read past the end.
      const Data exact(encoded.begin(), encoded.end());
      Guarded decoded(data.size());
      const bool decodes = (*decoder)->decode(exact, decoded.buffer()).has_value();
      REQUIRE(decoded.is_intact());
      REQUIRE(!(decodes && truncated));
      accepted += decodes;
      wrong += decodes && !std::equal(data.begin(), data.end(), decoded.buffer().begin());
    }
    if (pair.codec == Codec::none) continue;
    if (pair.codec == Codec::zstd) CHECK(wrong == 0);
    CHECK(wrong <= rounds / 50);
    CHECK(accepted <= rounds / 20);  // right ones among them: bits that mean nothing
  }
}

TEST_CASE("noise is an error") {
  test::Random random(test::seed_for("codec noise"));
  for (const Pair& pair : pairs()) {
    if (pair.codec == Codec::none) continue;
    CAPTURE(name_of(pair));
    auto decoder = Decoder::create(pair.codec, pair.decoder);
    REQUIRE(decoder.has_value());
    for (std::size_t round = 0; round < test::scaled(2000); ++round) {
      Guarded decoded(4096);
      REQUIRE(!(*decoder)->decode(random_bytes(random, random() % 5000), decoded.buffer()));
      REQUIRE(decoded.is_intact());
    }
  }
}

TEST_CASE("an encoder refuses a buffer that is too small") {
  test::Random random(test::seed_for("codec small buffer"));
  const Data data = random_bytes(random, 4096);
  for (const Pair& pair : pairs()) {
    CAPTURE(name_of(pair));
    auto encoder = Encoder::create(pair.codec, pair.encoder);
    REQUIRE(encoder.has_value());
    Guarded encoded(100);
    const auto size = (*encoder)->encode(data, encoded.buffer());
    REQUIRE(!size.has_value());
    CHECK(size.error().code == ErrorCode::invalid_argument);
    CHECK(encoded.is_intact());
  }
}

TEST_CASE("names") {
  for (Codec codec : kCodecs) CHECK(parse_codec(image::name_of(codec)).value() == codec);
  for (const char* name : {"", "lz4", "ZLIB", "zlib "}) {
    const auto codec = parse_codec(name);
    REQUIRE(!codec.has_value());
    for (Codec known : kCodecs)
      CHECK(codec.error().message().find(image::name_of(known)) != std::string::npos);
  }
}

TEST_CASE("the checksum is CRC-32") {
  CHECK(checksum({}) == 0);
  const char text[] = "123456789";
  CHECK(checksum(std::as_bytes(std::span(text, 9))) == 0xcbf43926);
}

}  // namespace
}  // namespace weir::image
