#include <array>
#include <string>
#include <weir/barrier.hpp>

namespace weir {
namespace {

template <class Value, std::size_t N, class NameOf>
Expected<Value> by_name(const std::array<Value, N>& values, std::string_view name, NameOf name_of,
                        const char* what, std::string allowed) {
  for (Value value : values) {
    if (name == name_of(value)) return value;
    allowed += allowed.empty() ? "" : ", ";
    allowed += name_of(value);
  }
  return fail(ErrorCode::invalid_argument, what,
              ErrorText(std::string(name).append(" is unknown; known are ").append(allowed)));
}

}  // namespace

const char* name_of(BarrierKind kind) {
  switch (kind) {
    case BarrierKind::async:
      return "async";
    case BarrierKind::uffd_thread:
      return "uffd-thread";
    case BarrierKind::uffd_sigbus:
      return "uffd-sigbus";
    case BarrierKind::mprotect:
      return "mprotect";
    case BarrierKind::soft_dirty:
      return "soft-dirty";
    case BarrierKind::cards:
      return "cards";
    case BarrierKind::always_dirty:
      return "always-dirty";
  }
  return "unknown";
}

const char* name_of(Delivery delivery) {
  return delivery == Delivery::thread ? "thread" : "sigbus";
}

Expected<std::optional<BarrierKind>> parse_barrier(std::string_view name) {
  if (name == "auto") return std::optional<BarrierKind>();
  auto kind = by_name(
      kBarrierKinds, name, [](BarrierKind k) { return name_of(k); }, "choosing a write barrier",
      "auto");
  if (!kind) return Unexpected(kind.error());
  return std::optional<BarrierKind>(*kind);
}

Expected<Delivery> parse_delivery(std::string_view name) {
  return by_name(
      std::array{Delivery::thread, Delivery::sigbus}, name, [](Delivery d) { return name_of(d); },
      "choosing a fault delivery", "");
}

}  // namespace weir
