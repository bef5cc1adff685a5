// The tables beside the objects: how much memory they take, by what the kernel says is resident.
#include "runtime/heap/region.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "runtime/heap/space.hpp"
#include "runtime/heap/span_allocator.hpp"
#include "runtime/os/page_size.hpp"

using namespace weir;
using namespace weir::heap;

namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

std::size_t resident(Range range) {
  const Range pages = Range::between(range.begin.align_down(os::page_size()),
                                     range.end().align_up(os::page_size()));
  std::vector<unsigned char> in_core(pages.size / os::page_size());
  REQUIRE(::mincore(pages.begin.as(), pages.size, in_core.data()) == 0);
  return static_cast<std::size_t>(
             std::ranges::count_if(in_core, [](unsigned char page) { return (page & 1) != 0; })) *
         os::page_size();
}

// Of all three tables, for everything that is committed.
std::size_t resident_tables(const Region& region) {
  const Address begin = region.range().begin;
  const std::size_t blocks = region.committed();
  return resident(Range::of(region.metadata().at(begin), blocks * kBlockGranules)) +
         resident(Range::of(&region.block(BlockIndex(0)), blocks * sizeof(Block))) +
         resident(Range::of(&region.unit_owner(begin),
                            blocks * region.units_per_block() * sizeof(std::uint32_t)));
}

struct Rig {
  std::unique_ptr<Space> space;
  weir_mutator mutator{};
  SpanAllocator allocator;

  explicit Rig(os::HugePages huge)
      : space(*Space::create(
            {.maximum = 1024 * kMiB, .reserved = std::size_t{64} << 30, .huge = huge})),
        allocator(*space, mutator.spans[1], true, false) {
    mutator.metadata = space->metadata().biased();
  }
  void allocate(std::size_t bytes) {
    constexpr KindTag kLeaf = KindTag::of(TraceClass::leaf);
    if (bytes > kSmallMax)
      REQUIRE(space->allocate_large(bytes, kGranuleBytes, kLeaf, true));
    else if (mutator.spans[1].limit - mutator.spans[1].bump >= static_cast<std::ptrdiff_t>(bytes))
      (void)weir_allocate(&mutator, kLeaf.value(), bytes);
    else
      REQUIRE(allocator.allocate(bytes, kGranuleBytes, kLeaf, true));
  }
};

}  // namespace

TEST_CASE("tables take at most 8 % of the heap, resident and as counted, however small it is") {
  for (const os::HugePages huge :
       {os::HugePages::prefer, os::HugePages::system, os::HugePages::never}) {
    for (const std::size_t bytes : {std::size_t{32}, std::size_t{9000}, std::size_t{300'000}}) {
      Rig rig(huge);
      std::size_t checked = kMiB;
      while (rig.space->in_blocks() < 300 * kMiB) {
        rig.allocate(bytes);
        if (rig.space->in_blocks() < checked) continue;
        checked += checked < 4 * kMiB ? kMiB / 4 : 4 * kMiB + kMiB / 16;
        const std::size_t counted = rig.space->metadata_bytes();
        const std::size_t heap = rig.space->in_blocks();
        CAPTURE(heap);
        REQUIRE(counted * 100 <= heap * 8);
        const std::size_t taken = resident_tables(rig.space->region());
        REQUIRE(taken <= counted);
        if (bytes == 32) REQUIRE(taken * 17 >= heap);  // it is a byte for each granule
      }
    }
  }
}

TEST_CASE("trimmed blocks give back the memory of their metadata, too, which is zero after it") {
  Rig rig(os::HugePages::never);
  while (rig.space->in_blocks() < 16 * kMiB) rig.allocate(32);
  rig.allocator.retire();
  const std::size_t before = resident_tables(rig.space->region());
  rig.space->begin_marking();
  rig.space->end_marking(0, true);
  CHECK(rig.space->trim() == 16 * kMiB);
  CHECK(resident_tables(rig.space->region()) + kMiB - 64 * 1024 <= before);
  const Range objects = rig.space->committed();
  for (Address at = objects.begin; at < objects.end(); at = at + kGranuleBytes)
    REQUIRE(rig.space->metadata().load(at).value() == 0);
}

TEST_CASE("metadata of part of a page is cleared, its neighbours' stays") {
  auto region = Region::reserve(kArenaBytes, os::HugePages::never);
  REQUIRE(region);
  REQUIRE(region->commit_next());
  const Range all{region->range().begin, 4 * os::page_size() * kGranuleBytes};
  const auto fill = [&] {
    for (Address at = all.begin; at < all.end(); at = at + kGranuleBytes)
      region->metadata().store(at, MetadataByte::free_start());
  };
  const std::size_t page = os::page_size() * kGranuleBytes;
  for (const std::size_t from : {std::size_t{0}, page / 2, page, page + 64 * kGranuleBytes})
    for (const std::size_t size : {page / 4, page, 2 * page, 2 * page + page / 2}) {
      fill();
      const Range discarded{all.begin + from, size};
      region->discard_metadata(discarded);
      for (Address at = all.begin; at < all.end(); at = at + kGranuleBytes)
        REQUIRE(region->metadata().load(at).value() ==
                (discarded.contains(at) ? 0 : MetadataByte::free_start().value()));
    }
}
