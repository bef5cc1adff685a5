// The kinds of objects that an embedder declared for a heap. Defined under the heap's lock, before
// any object of them exists; read by anybody.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>
#include <weir/error.hpp>

#include "runtime/heap/metadata.hpp"

struct weir_visitor;

namespace weir::heap {

// What the C API calls weir_kind: the metadata byte of an object's start, its kind's number (0:
// built in) in the second byte, and above them the offset of its span in a weir_mutator.
class KindTag {
 public:
  constexpr KindTag() = default;
  constexpr explicit KindTag(std::uint32_t value) : value_(value) {}
  static constexpr KindTag of(TraceClass trace, std::uint8_t number = 0) {
    const std::uint32_t span = trace == TraceClass::leaf ? kLeafSpan << 16 : 0;
    return KindTag(span | std::uint32_t{number} << 8 | MetadataByte::start(trace).value());
  }

  constexpr std::uint32_t value() const { return value_; }
  constexpr MetadataByte start_byte() const {
    return MetadataByte(static_cast<std::uint8_t>(value_));
  }
  constexpr TraceClass trace_class() const { return start_byte().trace_class(); }
  constexpr std::uint8_t number() const { return static_cast<std::uint8_t>(value_ >> 8); }
  constexpr bool is_leaf() const { return value_ >> 16 != 0; }
  friend constexpr bool operator==(KindTag, KindTag) = default;

 private:
  static constexpr std::uint32_t kLeafSpan = 16;
  std::uint32_t value_ = 0;
};

using TraceFunction = void (*)(weir_visitor*, void* object, std::size_t from, std::size_t to,
                               void* data);

struct Kind {
  std::string name;
  KindTag tag;
  std::vector<std::uint64_t> bitmap;  // TraceClass::bitmap: which words are slots
  std::size_t bitmap_words = 0;       // after how many words it repeats
  static constexpr std::size_t kFirstSlots = 64;
  std::uint64_t first_slots = 0;  // which of an object's first 64 words are, by the bitmap
  TraceFunction trace = nullptr;  // TraceClass::callback
  void* data = nullptr;
  bool reaches_off_heap = false;
  bool movable = false;
};

class Kinds {
 public:
  static constexpr std::size_t kMaxKinds = 120;
  static constexpr std::size_t kMaxBitmapWords = 4096;

  Kinds();
  // Checks everything but `tag`, which it sets. Errors: invalid_argument.
  Expected<KindTag> define(TraceClass trace, Kind kind);
  // nullptr: no such kind.
  const Kind* find(KindTag tag) const;
  std::size_t count() const {  // numbers are below it
    return count_.load(std::memory_order_acquire);
  }
  const Kind& by_number(std::uint8_t number) const { return kinds_[number]; }
  const Kind& of(KindTag tag) const {
    return tag.number() != 0 ? kinds_[tag.number()] : built_in_[tag_index(tag)];
  }

 private:
  static std::size_t tag_index(KindTag tag) { return static_cast<std::size_t>(tag.trace_class()); }

  std::array<Kind, kMaxKinds + 1> kinds_;  // by number; 0 is none
  std::atomic<std::size_t> count_{1};      // of `kinds_`, the first included
  Kind built_in_[6];                       // by trace class; some
};

}  // namespace weir::heap
