// "none": the bytes as they are.
#include <cstring>

#include "runtime/image/codec_libraries.hpp"

namespace weir::image {
namespace {

class StoredEncoder final : public Encoder {
 public:
  std::size_t bound(std::size_t bytes) const override { return bytes; }
  Expected<std::size_t> encode(Bytes from, Buffer to) override {
    if (to.size() < from.size()) return too_small();
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
    return from.size();
  }
};

class StoredDecoder final : public Decoder {
 public:
  Expected<> decode(Bytes from, Buffer to) noexcept override {
    if (from.size() != to.size()) return damaged();
    if (!from.empty()) std::memcpy(to.data(), from.data(), from.size());
    return {};
  }
};

}  // namespace

std::unique_ptr<Encoder> stored_encoder() {
  return std::make_unique<StoredEncoder>();
}
std::unique_ptr<Decoder> stored_decoder() {
  return std::make_unique<StoredDecoder>();
}

}  // namespace weir::image
