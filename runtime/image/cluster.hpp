// A cluster as it is when decoded:
//
//   | objects | metadata, a byte for each granule | relocations, a bit for each word |
//
// Where a cluster is smaller than a block, an object may reach into it from the one before; and the
// kind's number of one that starts in its last granule is in its index entry (last_kind), since the
// granule that has it otherwise is the next cluster's.
//
// What comes from a file is checked before anybody relies on it: metadata that the heap could not
// have written, and words that point nowhere, make the cluster a damaged one.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "runtime/heap/kinds.hpp"
#include "runtime/image/cluster_index.hpp"
#include "runtime/image/translation.hpp"

namespace weir::image {

// Kinds have numbers of the heap's; here is what those of a file are, and what they become.
struct KindMap {
  struct Kind {
    std::uint8_t number = 0;  // 0: there is none
    heap::TraceClass trace = heap::TraceClass::free;
  };
  std::array<Kind, heap::Kinds::kMaxKinds + 1> kinds{};
};

// A view of a buffer of payload_bytes() that starts at a multiple of 8.
class Cluster {
 public:
  Cluster(Buffer payload, ClusterSize size) : payload_(payload), size_(size) {}

  Buffer objects() const { return payload_.first(size_.bytes()); }
  std::uint8_t* metadata() const {
    return reinterpret_cast<std::uint8_t*>(payload_.data() + size_.bytes());
  }
  void relocate_word(std::size_t offset) const {  // of the word, in bytes
    relocations()[offset / 64] |= static_cast<std::uint8_t>(1u << (offset / 8 % 8));
  }
  std::uintptr_t word(std::size_t offset) const {
    std::uintptr_t word;
    std::memcpy(&word, payload_.data() + offset, sizeof word);
    return word;
  }
  void set_word(std::size_t offset, std::uintptr_t word) const {
    std::memcpy(payload_.data() + offset, &word, sizeof word);
  }

  // For the fault path. False: this cannot be, and nothing of it may be used.
  bool check_metadata(const KindMap& kinds, const ClusterEntry& entry) const noexcept;
  // Every word that has a relocation bit is translated.
  bool translate(const Translation& translation, const SlotFormat& format) const noexcept;
  // The words that have a relocation bit, in order: visit(offset).
  template <class Visit>
  void for_each_relocation(Visit&& visit) const {
    for (std::size_t byte = 0; byte < size_.relocation_bytes(); ++byte)
      for (unsigned bits = relocations()[byte]; bits != 0; bits &= bits - 1)
        visit((byte * 8 + static_cast<unsigned>(std::countr_zero(bits))) * 8);
  }

 private:
  std::uint8_t* relocations() const { return metadata() + size_.granules(); }
  bool check_start(const KindMap& kinds, std::size_t granule,
                   std::uint8_t last_kind) const noexcept;

  Buffer payload_;
  ClusterSize size_;
};

}  // namespace weir::image
