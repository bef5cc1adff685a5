#include "runtime/image/cluster.hpp"

namespace weir::image {

using heap::MetadataByte;
using heap::TraceClass;

// Also gives the object the number that its kind has here.
bool Cluster::check_start(const KindMap& kinds, std::size_t granule,
                          std::uint8_t last_kind) const noexcept {
  const MetadataByte byte(metadata()[granule]);
  const TraceClass trace = byte.trace_class();
  if (byte.value() != MetadataByte::start(trace).value() || trace > TraceClass::callback)
    return false;
  if (trace == TraceClass::free) return true;
  const bool is_last = granule + 1 == size_.granules();
  const std::uint8_t number = is_last ? last_kind : metadata()[granule + 1];
  const bool has_number = number != 0 && !MetadataByte(number).is_start();
  if (!has_number) return trace != TraceClass::bitmap && trace != TraceClass::callback;
  if (number >= kinds.kinds.size()) return false;
  const KindMap::Kind& kind = kinds.kinds[number];
  if (kind.number == 0 || kind.trace != trace) return false;
  if (!is_last) metadata()[granule + 1] = kind.number;
  return true;
}

bool Cluster::check_metadata(const KindMap& kinds, const ClusterEntry& entry) const noexcept {
  if (MetadataByte(metadata()[0]).is_start() == (entry.continues != 0)) return false;
  if (entry.last_kind != 0 && !MetadataByte(metadata()[size_.granules() - 1]).is_object())
    return false;
  bool may_be_number = false;
  for (std::size_t group = 0; group < size_.granules(); group += sizeof(std::uint64_t)) {
    if (word(size_.bytes() + group) == 0) {
      may_be_number = false;
      continue;
    }
    for (std::size_t granule = group; granule < group + sizeof(std::uint64_t); ++granule) {
      const MetadataByte byte(metadata()[granule]);
      if (byte.is_start()) {
        if (!check_start(kinds, granule, entry.last_kind)) return false;
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
