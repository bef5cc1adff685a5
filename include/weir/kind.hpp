// How objects of a C++ type are traced, declared in the type:
//
//   struct Node {
//     Node *left, *right;
//     long value;
//     static constexpr auto kSlots = weir::slots(&Node::left, &Node::right);
//   };
//   struct Text {  // no references
//     char bytes[24];
//     static constexpr auto kSlots = weir::slots();
//   };
//   struct Buffer {  // slots that only code can find
//     std::size_t count;
//     Node* items[15];
//     static void trace(weir::Visitor visitor, Buffer& buffer, std::size_t from, std::size_t to);
//   };
//
// `trace` visits the slots that lie in [from, to), byte offsets into the object, which may be an
// array of such; the rest of its rules are weir_trace's. Heap::define makes a Kind<T> of either.
// Numbers and pointers have kBuiltIn<T>, which needs no heap.
#pragma once

#include <weir/weir.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

namespace weir {

// Of one heap, for its whole life.
template <class T>
struct Kind {
  weir_kind value;
};

namespace detail {

template <class T>
inline constexpr bool kIsReference = std::is_pointer_v<T>;
template <class T>
inline constexpr bool kIsNumber = std::is_arithmetic_v<T> || std::is_enum_v<T>;

}  // namespace detail

template <class T>
requires(detail::kIsReference<T> || detail::kIsNumber<T>) inline constexpr Kind<T> kBuiltIn{
    detail::kIsReference<T> ? WEIR_KIND_SLOTS : WEIR_KIND_LEAF};

// What a trace callback reports slots to. A plain value.
class Visitor {
 public:
  explicit Visitor(weir_visitor* visitor) : visitor_(visitor) {}

  // A slot: a word that is encoded as the heap's configuration says.
  template <class Slot>
  void visit(Slot& slot) const {
    static_assert(sizeof(Slot) == sizeof(void*), "a slot is a word");
    weir_visit(visitor_, &slot);
  }
  // A slot that refers to `object`, however it is encoded.
  void visit_decoded(void* slot, void* object) const { weir_visit_decoded(visitor_, slot, object); }
  // Every word in [begin, end) may be an address into any object.
  void visit_conservatively(const void* begin, const void* end) const {
    weir_visit_conservatively(visitor_, begin, end);
  }

 private:
  weir_visitor* visitor_;
};

// The members of T that are slots.
template <class T, class... Members>
struct Slots {
  std::tuple<Members T::*...> members;
};
struct NoSlots {};

constexpr NoSlots slots() {
  return {};
}
template <class T, class... Members>
constexpr Slots<T, Members...> slots(Members T::*... members) {
  static_assert(((sizeof(Members) == sizeof(void*)) && ...), "a slot is a word");
  return {{members...}};
}

namespace detail {

template <class T>
concept HasSlots = requires {
  T::kSlots;
};
template <class T>
concept HasTrace = requires(Visitor visitor, T& object, std::size_t offset) {
  T::trace(visitor, object, offset, offset);
};

inline constexpr std::size_t kBitsPerWord = 64;
template <class T>
using Bitmap =
    std::array<std::uint64_t, (sizeof(T) / sizeof(void*) + kBitsPerWord - 1) / kBitsPerWord>;

template <class T, class Of, class... Members>
Bitmap<T> bitmap_of(const Slots<Of, Members...>& slots) {
  static_assert(std::is_base_of_v<Of, T>, "slots of another type");
  Bitmap<T> bitmap{};
  const auto add = [&bitmap](Members T::*... members) {
    // A pointer to a data member is the member's offset (Itanium C++ ABI).
    for (const auto offset : {std::bit_cast<std::ptrdiff_t>(members)...}) {
      const std::size_t word = static_cast<std::size_t>(offset) / sizeof(void*);
      bitmap[word / kBitsPerWord] |= std::uint64_t{1} << (word % kBitsPerWord);
    }
  };
  std::apply(add, slots.members);
  return bitmap;
}

template <class T>
void trace_with(weir_visitor* visitor, void* object, std::size_t from, std::size_t to,
                void* /*data*/) {
  T::trace(Visitor(visitor), *static_cast<T*>(object), from, to);
}

}  // namespace detail

// What weir_kind_define wants to know of T. `reaches_off_heap`, `movable` are the caller's to add.
template <class T>
weir_kind_config kind_config(const char* name) {
  static_assert(detail::HasSlots<T> != detail::HasTrace<T>,
                "a collected type has either kSlots or trace (weir/kind.hpp)");
  weir_kind_config config{};
  config.name = name;
  if constexpr (detail::HasTrace<T>) {
    config.tracing = WEIR_TRACE_CALLBACK;
    config.trace = detail::trace_with<T>;
  } else if constexpr (std::is_same_v<decltype(T::kSlots), const NoSlots>) {
    config.tracing = WEIR_TRACE_LEAF;
  } else {
    static_assert(sizeof(T) % sizeof(void*) == 0, "slots are aligned to words");
    static const auto bitmap = detail::bitmap_of<T>(T::kSlots);
    config.tracing = WEIR_TRACE_BITMAP;
    config.bitmap = bitmap.data();
    config.bitmap_words = sizeof(T) / sizeof(void*);
  }
  return config;
}

}  // namespace weir
