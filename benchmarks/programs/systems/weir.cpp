#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "benchmarks/programs/systems/system.hpp"

namespace weir::programs {
namespace {

KindEntry*& first_kind() {
  static KindEntry* first = nullptr;
  return first;
}

void check(weir_status status) {
  if (status != WEIR_OK) give_up();
}

}  // namespace

void give_up() {
  std::fprintf(stderr, "weir: %s\n", weir_error_message());
  std::exit(1);
}

KindEntry::KindEntry(std::uint64_t reference_bits, std::size_t words_of_it)
    : references(reference_bits), words(words_of_it), next(first_kind()) {
  first_kind() = this;
}

Heap::Heap(const HeapSetup& setup) {
  weir_config config;
  weir_config_init(&config);
  if (setup.bytes != 0) config.minimum_bytes = config.maximum_bytes = setup.bytes;
  config.nursery_bytes = setup.nursery_bytes;
  if (const char* t = std::getenv("XN")) config.nursery_bytes = std::strtoull(t, nullptr, 0) << 10;
  if (const char* t = std::getenv("XM")) config.minimum_bytes = std::strtoull(t, nullptr, 0) << 20;
  if (const char* t = std::getenv("XG")) config.growth = std::atof(t);
  if (const char* t = std::getenv("XK")) config.markers = std::atoi(t);
  check(weir_heap_create(&config, &heap_));
  for (KindEntry* entry = first_kind(); entry != nullptr; entry = entry->next) {
    weir_kind_config kind{};
    kind.name = "object";
    kind.tracing = WEIR_TRACE_BITMAP;
    kind.bitmap = &entry->references;
    kind.bitmap_words = entry->words;
    check(weir_kind_define(heap_, &kind, &entry->kind));
  }
}

Heap::~Heap() {
  weir_heap_destroy(heap_, false);
}

Collections Heap::collections() const {
  weir_statistics now;
  weir_heap_statistics(heap_, &now);
  Collections all;
  all.barrier = weir_heap_barrier(heap_);
  all.stopped_ns = now.collection_ns;
  all.count = now.collections;
  all.minor = now.minor_collections;
  all.full = now.full_collections;
  if (now.collections != 0) all.pauses = {now.pause_ns_p50, now.pause_ns_p99, now.pause_ns_max};
  if (now.minor_collections != 0)
    all.minor_pauses = {now.minor_pause_ns_p50, now.minor_pause_ns_p99, now.minor_pause_ns_max};
  if (now.full_collections != 0)
    all.full_pauses = {now.full_pause_ns_p50, now.full_pause_ns_p99, now.full_pause_ns_max};
  return all;
}

Mutator::Mutator(Heap& heap) : heap_(heap) {
  check(weir_mutator_attach(heap.get(), nullptr, &mutator_));
}

Mutator::~Mutator() {
  weir_mutator_detach(mutator_);
}

}  // namespace weir::programs
