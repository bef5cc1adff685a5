// The contract on memory of all kinds, and on memory that changes while it is watched: holes, zero
// pages, huge pages, released, paged-out and moved ones. Numbers are the cases of the design's list
// of test cases.
#include <doctest/doctest.h>
#include <sys/mman.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>

#include "runtime/os/kernel_write.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/os/child.hpp"
#include "tests/support/attached.hpp"

using namespace weir;
using namespace weir::test;
using barrier::Barrier;
using barrier::Then;

namespace {

bool has_swap() {
  std::ifstream swaps("/proc/swaps");
  std::string heading, first;
  return std::getline(swaps, heading) && std::getline(swaps, first);
}

std::size_t resident_bytes() {
  std::size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * os::page_size();
}

}  // namespace

TEST_CASE("10: a write to a hole, to a zero page, after DONTNEED, and after mprotect") {
  for_each_backend([](Barrier& barrier) {
    const Attached memory(barrier);  // nothing populated
    memory.arm();
    (void)memory.take();  // armed holes may count as written once
    store(barrier, memory.page(3), 'i');
    CHECK(memory.take().count(3) == 1);

    CHECK(*static_cast<volatile char*>(memory.page(9)) == 0);  // the zero page
    (void)memory.take();
    store(barrier, memory.page(9), 'j');
    CHECK(memory.take().count(9) == 1);

    store(barrier, memory.page(20), 'k');
    (void)memory.take();
    const Range page20 = Range::of(memory.page(20), os::page_size());
    if (barrier.traits().forgets_released) CHECK(barrier.disarm(page20).has_value());
    REQUIRE(::madvise(memory.page(20), os::page_size(), MADV_DONTNEED) == 0);
    if (barrier.traits().forgets_released) CHECK(barrier.arm(page20).has_value());
    store(barrier, memory.page(20), 'l');
    CHECK(memory.take().count(20) == 1);
    CHECK(*memory.page(20) == 'l');
    store(barrier, memory.page(20), 'l');
    CHECK(memory.take().count(20) == 1);
    CHECK(*memory.page(20) == 'l');

    if (barrier.traits().owns_protection) return;
    store(barrier, memory.page(30), 'm');
    (void)memory.take();
    REQUIRE(::mprotect(memory.page(30), os::page_size(), PROT_READ) == 0);
    REQUIRE(::mprotect(memory.page(30), os::page_size(), PROT_READ | PROT_WRITE) == 0);
    store(barrier, memory.page(30), 'n');
    CHECK(memory.take().count(30) == 1);
  });
}

TEST_CASE("10: a written page that is released before the take is reported all the same") {
  for_each_backend([](Barrier& barrier) {
    if (barrier.traits().forgets_released) return;
    const Attached memory(barrier);
    memory.populate();
    memory.arm();
    (void)memory.take();
    store(barrier, memory.page(20), 'k');
    REQUIRE(::madvise(memory.page(20), os::page_size(), MADV_DONTNEED) == 0);
    CHECK(memory.take().count(20) == 1);
  });
}

TEST_CASE("13: huge pages: a whole arming keeps the law at the size of pages") {
  for_each_backend([](Barrier& barrier) {
    constexpr std::size_t kHuge = std::size_t{2} << 20;
    os::Mapping mapping = os::Mapping::anonymous(2 * kHuge, os::HugePages::prefer, kHuge).value();
    std::memset(mapping.as<char>(), 1, mapping.size());
    REQUIRE(barrier.attach(mapping.range()).has_value());
    CHECK(barrier.arm(mapping.range()).has_value());
    CHECK(reports(barrier, take_pages(barrier, mapping.range()), {}));
    const std::size_t page = kHuge / os::page_size() + 7;
    store(barrier, mapping.as<char>() + page * os::page_size(), 'p');
    CHECK(take_pages(barrier, mapping.range()).count(page) == 1);
    // Taking half of a huge page.
    store(barrier, mapping.as<char>() + 3 * os::page_size(), 'q');
    store(barrier, mapping.as<char>() + kHuge / 2 + 5 * os::page_size(), 'q');
    const Range half = Range{mapping.range().begin, kHuge / 2};
    CHECK(take_pages(barrier, half).count(3) == 1);
    CHECK(take_pages(barrier, mapping.range()).count(kHuge / 2 / os::page_size() + 5) == 1);
    CHECK(barrier.detach(mapping.range()).has_value());
  });
}

TEST_CASE("13: the huge zero page, armed, keeps the law when it is split by a write") {
  for_each_backend([](Barrier& barrier) {
    constexpr std::size_t kHuge = std::size_t{2} << 20;
    os::Mapping mapping = os::Mapping::anonymous(2 * kHuge, os::HugePages::prefer, kHuge).value();
    const auto page = [&](std::size_t i) { return mapping.as<char>() + i * os::page_size(); };
    const std::size_t half = kHuge / os::page_size();
    CHECK(*static_cast<volatile char*>(page(1)) == 0);  // the first half is read, the other a hole
    REQUIRE(barrier.attach(mapping.range()).has_value());
    CHECK(barrier.arm(mapping.range()).has_value());
    (void)take_pages(barrier, mapping.range());
    for (const std::size_t i : {std::size_t{3}, half + 3}) store(barrier, page(i), 'p');
    PageSet reported = take_pages(barrier, mapping.range());
    CHECK(reported.count(3) == 1);
    CHECK(reported.count(half + 3) == 1);
    // The neighbours, which the split made pages of their own.
    for (const std::size_t i : {std::size_t{4}, half - 1, half + 4, 2 * half - 1})
      store(barrier, page(i), 'q');
    reported = take_pages(barrier, mapping.range());
    for (const std::size_t i : {std::size_t{4}, half - 1, half + 4, 2 * half - 1})
      CHECK(reported.count(i) == 1);
    CHECK(barrier.detach(mapping.range()).has_value());
  });
}

TEST_CASE("14, 15: collapse and page-out of an armed range lose no marks") {
  for_each_backend([](Barrier& barrier) {
    constexpr std::size_t kHuge = std::size_t{2} << 20;
    os::Mapping mapping = os::Mapping::anonymous(kHuge, os::HugePages::never, kHuge).value();
    std::memset(mapping.as<char>(), 1, mapping.size());
    REQUIRE(barrier.attach(mapping.range()).has_value());
    CHECK(barrier.arm(mapping.range()).has_value());
    store(barrier, mapping.as<char>() + 9 * os::page_size(), 'r');
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
    // Either may be refused; what counts is that nothing is lost.
    (void)::madvise(mapping.as<char>(), kHuge, MADV_HUGEPAGE);
    (void)::madvise(mapping.as<char>(), kHuge, MADV_COLLAPSE);
    if (::madvise(mapping.as<char>(), kHuge, MADV_PAGEOUT) != 0 || !has_swap())
      std::printf("case 15 without swap: nothing can be paged out here\n");
    store(barrier, mapping.as<char>() + 11 * os::page_size(), 'r');
    const PageSet reported = take_pages(barrier, mapping.range());
    CHECK(reported.count(9) == 1);
    CHECK(reported.count(11) == 1);
    (void)::madvise(mapping.as<char>(), kHuge, MADV_COLLAPSE);
    store(barrier, mapping.as<char>() + 13 * os::page_size(), 'r');
    CHECK(take_pages(barrier, mapping.range()).count(13) == 1);
    CHECK(barrier.detach(mapping.range()).has_value());
  });
}

TEST_CASE("16: memory that was moved away is reported as a whole, with the reason") {
  for_each_backend([](Barrier& barrier) {
    os::Mapping mapping =
        os::Mapping::anonymous(16 * os::page_size(), os::HugePages::never).value();
    std::memset(mapping.as<char>(), 1, mapping.size());
    REQUIRE(barrier.attach(mapping.range()).has_value());
    CHECK(barrier.arm(mapping.range()).has_value());
    char* second_half = mapping.as<char>() + 8 * os::page_size();
    void* moved = ::mremap(second_half, 8 * os::page_size(), 8 * os::page_size(),
                           MREMAP_MAYMOVE | MREMAP_FIXED,
                           os::Mapping::anonymous(8 * os::page_size()).value().as<char>());
    REQUIRE(moved != MAP_FAILED);
    CHECK(take_pages(barrier, mapping.range()).size() == 16);
    CHECK_FALSE(barrier.notes().empty());
    CHECK(barrier.detach(mapping.range()).has_value());
    ::munmap(moved, 8 * os::page_size());
  });
}

TEST_CASE("19: a range over two mappings is watched; one that is partly unmapped is refused") {
  for_each_backend([](Barrier& barrier) {
    os::Mapping mapping =
        os::Mapping::anonymous(32 * os::page_size(), os::HugePages::never).value();
    std::memset(mapping.as<char>(), 1, mapping.size());
    char* second = mapping.as<char>() + 16 * os::page_size();
    REQUIRE(::madvise(second, 16 * os::page_size(), MADV_DONTDUMP) == 0);  // another mapping
    REQUIRE(barrier.attach(mapping.range()).has_value());
    CHECK(barrier.arm(mapping.range()).has_value());
    store(barrier, mapping.as<char>() + 15 * os::page_size(), 's');
    store(barrier, second, 's');
    CHECK(reports(barrier, take_pages(barrier, mapping.range()), {15, 16}));
    CHECK(barrier.detach(mapping.range()).has_value());

    if (barrier.kind() == BarrierKind::cards || barrier.kind() == BarrierKind::always_dirty) return;
    REQUIRE(::munmap(second, os::page_size()) == 0);
    const auto attached = barrier.attach(mapping.range());
    REQUIRE_FALSE(attached.has_value());
    CHECK(attached.error().message().size() > 20);
    // Nothing of it was kept: the part that is mapped can be attached.
    const Range first = Range{mapping.range().begin, 16 * os::page_size()};
    CHECK(barrier.attach(first).has_value());
    CHECK(barrier.detach(first).has_value());
  });
}

TEST_CASE("a reservation is attached as a whole, and armed piece by piece as it gets memory") {
  for_each_backend([](Barrier& barrier) {
    constexpr std::size_t kArena = std::size_t{32} << 20;
    const os::Mapping reserved = os::Mapping::reserve(std::size_t{64} << 30, kArena).value();
    const auto resident_before = resident_bytes();
    const auto began = std::chrono::steady_clock::now();
    REQUIRE(barrier.attach(reserved.range()).has_value());
    const std::chrono::nanoseconds attaching = std::chrono::steady_clock::now() - began;

    // The first arena, and one at the far end.
    const Range pieces[] = {{reserved.range().begin, kArena},
                            {reserved.range().end() - kArena, kArena}};
    for (const Range& piece : pieces) {
      REQUIRE(os::commit(piece, os::HugePages::never).has_value());
      const auto at = [&](std::size_t page) {
        return (piece.begin + page * os::page_size()).as<char>();
      };
      store(barrier, at(2), 'a');
      const Range half{piece.begin, kArena / 2};
      REQUIRE(barrier.arm(half).has_value());
      (void)take_pages(barrier, half);
      store(barrier, at(2), 'b');
      store(barrier, at(77), 'b');
      store(barrier, at(kArena / os::page_size() - 1), 'b');  // the half that is not armed
      CHECK(reports(barrier, take_pages(barrier, half), {2, 77}));
      store(barrier, at(77), 'c');
      CHECK(reports(barrier, take_pages(barrier, half, Then::leave_unarmed), {77}));
      if (barrier.kind() != BarrierKind::always_dirty)
        CHECK(barrier.disarm({piece.begin, kArena / 4}).has_value());
      store(barrier, at(2), 'd');
      if (barrier.kind() != BarrierKind::always_dirty)
        CHECK(reports(barrier, take_pages(barrier, half), {}));
    }
    CHECK(resident_bytes() < resident_before + (std::size_t{8} << 20));  // it may have shrunk

    const auto ending = std::chrono::steady_clock::now();
    CHECK(barrier.detach(reserved.range()).has_value());
    const std::chrono::nanoseconds detaching = std::chrono::steady_clock::now() - ending;
    std::printf("64 GiB of addresses, %s: attached in %ld us, detached in %ld us\n",
                name_of(barrier.kind()), static_cast<long>(attaching.count() / 1000),
                static_cast<long>(detaching.count() / 1000));
    // The times are for a person to see: page by page it would be a second. Checked is the memory.

    // What had no memory has none now, and what has is nobody's.
    CHECK(os::kernel_write((pieces[0].begin + kArena).as<char>()) == false);
    for (const Range& piece : pieces) {
      CHECK(os::kernel_write((piece.begin + kArena / 2 - 1).as<char>()) == true);
      CHECK(os::kernel_write(piece.begin.as<char>()) == true);
    }
  });
}

TEST_CASE("a write to a reservation that has no memory is the program's error, attached or not") {
  for (const Backend& backend : backends()) {
    INFO("back-end ", backend.name());
    if (backend.open() == nullptr) continue;
    const auto result = in_child([&](auto) {
      const auto barrier = backend.open();
      const os::Mapping reserved = os::Mapping::reserve(64 * os::page_size()).value();
      const Range first{reserved.range().begin, 2 * os::page_size()};
      if (!barrier->attach(reserved.range()) || !os::commit(first, os::HugePages::never) ||
          !barrier->arm(first))
        return 1;
      *first.begin.as<volatile char>() = 'a';
      *first.end().as<volatile char>() = 'b';
      return 0;
    });
    CHECK(result.exit_code == -1);
    CHECK(result.signal == SIGSEGV);
  }
}
