#include "runtime/os/off_heap.hpp"

#include <atomic>

#include "runtime/os/environment.hpp"

namespace weir::os {
namespace {

constinit std::atomic<const OffHeapBackend*> linked{nullptr};
constinit std::atomic<const OffHeapBackend*> chosen{nullptr};

// Threads that race here choose the same.
const OffHeapBackend* backend() {
  const OffHeapBackend* known = chosen.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  const auto choice = off_heap_choice();
  if (!choice) return nullptr;
  chosen.store(*choice, std::memory_order_release);
  return *choice;
}

}  // namespace

Expected<const OffHeapBackend*> off_heap_choice() {
  const auto wanted = environment(Variable::off_heap);
  if (!wanted) return Unexpected(wanted.error());
  const OffHeapBackend* mimalloc = linked.load(std::memory_order_acquire);
  if (!*wanted) return mimalloc != nullptr ? mimalloc : &off_heap_system();
  if (**wanted == "system") return &off_heap_system();
  if (mimalloc == nullptr)
    return fail(ErrorCode::unsupported, "choosing off-heap memory",
                "WEIR_OFFHEAP=mimalloc, but this program is not linked with it", {},
                "link weir::mimalloc, or use WEIR_OFFHEAP=system");
  return mimalloc;
}

Expected<> off_heap_ready() {
  if (backend() != nullptr) return {};
  const auto choice = off_heap_choice();
  if (!choice) return Unexpected(choice.error());
  return {};
}

const char* off_heap_name() {
  const OffHeapBackend* known = backend();
  return known != nullptr ? known->name : "none";
}

void* off_heap_allocate(std::size_t bytes, std::size_t alignment) {
  const OffHeapBackend* known = backend();
  return known != nullptr ? known->allocate(bytes, alignment) : nullptr;
}

void off_heap_free(void* memory, std::size_t bytes, std::size_t alignment) {
  if (memory != nullptr) backend()->free(memory, bytes, alignment);
}

void off_heap_link(const OffHeapBackend& mimalloc) {
  linked.store(&mimalloc, std::memory_order_release);
}

const OffHeapBackend* off_heap_linked() {
  return linked.load(std::memory_order_acquire);
}

}  // namespace weir::os
