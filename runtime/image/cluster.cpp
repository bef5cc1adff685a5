#include "runtime/image/cluster.hpp"

namespace weir::image {

using heap::MetadataByte;
using heap::TraceClass;

// Also gives the object the number that its kind has here.
bool Cluster::check_start(const KindMap& kinds, std::size_t granule) const noexcept {
  const MetadataByte byte(metadata()[granule]);
  const TraceClass trace = byte.trace_class();
  if (byte.value() != MetadataByte::start(trace).value() || trace > TraceClass::callback)
    return false;
  if (trace == TraceClass::free) return true;
  std::uint8_t* const second = granule + 1 < kClusterMetadata ? &metadata()[granule + 1] : nullptr;
  const bool has_number = second != nullptr && *second != 0 && !MetadataByte(*second).is_start();
  if (!has_number) return trace != TraceClass::bitmap && trace != TraceClass::callback;
  if (*second >= kinds.kinds.size()) return false;
  const KindMap::Kind& kind = kinds.kinds[*second];
  if (kind.number == 0 || kind.trace != trace) return false;
  *second = kind.number;
  return true;
}

bool Cluster::check_metadata(const KindMap& kinds, bool is_continued) const noexcept {
  if (MetadataByte(metadata()[0]).is_start() == is_continued) return false;
  bool may_be_number = false;
  for (std::size_t group = 0; group < kClusterMetadata; group += sizeof(std::uint64_t)) {
    if (word(kClusterBytes + group) == 0) {
      may_be_number = false;
      continue;
    }
    for (std::size_t granule = group; granule < group + sizeof(std::uint64_t); ++granule) {
      const MetadataByte byte(metadata()[granule]);
      if (byte.is_start()) {
        if (!check_start(kinds, granule)) return false;
      } else if (byte.value() != 0 && !may_be_number) {
        return false;
      }
      may_be_number = byte.is_object();
    }
  }
  return true;
}

bool Cluster::translate(const Translation& translation, const SlotFormat& format) const noexcept {
  bool is_right = true;
  for_each_relocation([&](std::size_t offset) {
    const std::uintptr_t before = word(offset);
    const auto address = translation(format.decode(before));
    const std::uintptr_t after = address ? format.encode(before, *address) : before;
    is_right = is_right && address && format.decode(after) == *address;
    set_word(offset, after);
  });
  return is_right;
}

}  // namespace weir::image
