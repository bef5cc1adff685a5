#include "runtime/heap/kinds.hpp"

#include <utility>

namespace weir::heap {
namespace {

constexpr char kDefining[] = "defining a kind";

Expected<> check(TraceClass trace, const Kind& kind) {
  if (kind.name.empty()) return fail(ErrorCode::invalid_argument, kDefining, "a kind has a name");
  if (trace == TraceClass::bitmap) {
    if (kind.bitmap.empty() || kind.bitmap_words == 0 || kind.bitmap_words > Kinds::kMaxBitmapWords)
      return fail(ErrorCode::invalid_argument, kDefining, "a bitmap describes 1 to 4096 words");
  } else if (kind.bitmap_words != 0) {
    return fail(ErrorCode::invalid_argument, kDefining, "a bitmap, but the tracing is another");
  }
  if (trace == TraceClass::callback && kind.trace == nullptr)
    return fail(ErrorCode::invalid_argument, kDefining, "tracing by callback, but no callback");
  if (trace != TraceClass::callback && kind.trace != nullptr)
    return fail(ErrorCode::invalid_argument, kDefining, "a callback, but the tracing is another");
  if (kind.reaches_off_heap && trace != TraceClass::callback)
    return fail(ErrorCode::invalid_argument, kDefining,
                "only a callback can follow memory outside the heap");
  if (kind.movable && trace == TraceClass::conservative)
    return fail(ErrorCode::invalid_argument, kDefining, "a conservative kind is never movable");
  return {};
}

}  // namespace

Kinds::Kinds() {
  const std::pair<TraceClass, const char*> built_in[] = {{TraceClass::leaf, "leaf"},
                                                         {TraceClass::conservative, "conservative"},
                                                         {TraceClass::slots, "slots"}};
  for (const auto& [trace, name] : built_in) {
    Kind& kind = built_in_[static_cast<std::size_t>(trace)];
    kind.name = name;
    kind.tag = KindTag::of(trace);
  }
}

Expected<KindTag> Kinds::define(TraceClass trace, Kind kind) {
  if (auto right = check(trace, kind); !right) return Unexpected(right.error());
  const std::size_t number = count_.load(std::memory_order_relaxed);
  if (number > kMaxKinds)
    return fail(ErrorCode::out_of_memory, kDefining, "a heap has at most 120 kinds");
  kind.tag = KindTag::of(trace, static_cast<std::uint8_t>(number));
  if (trace == TraceClass::bitmap) {
    for (std::size_t word = 0; word < Kind::kFirstSlots; ++word) {
      const std::size_t bit = word % kind.bitmap_words;
      kind.first_slots |= (kind.bitmap[bit / 64] >> (bit % 64) & 1) << word;
    }
  }
  kinds_[number] = std::move(kind);
  count_.store(number + 1, std::memory_order_release);
  return kinds_[number].tag;
}

const Kind* Kinds::find(KindTag tag) const {
  if (tag.number() != 0)
    return tag.number() < count_.load(std::memory_order_acquire) && kinds_[tag.number()].tag == tag
               ? &kinds_[tag.number()]
               : nullptr;
  const bool built_in = tag.trace_class() >= TraceClass::leaf &&
                        tag.trace_class() <= TraceClass::slots &&
                        KindTag::of(tag.trace_class()) == tag;
  return built_in ? &of(tag) : nullptr;
}

}  // namespace weir::heap
