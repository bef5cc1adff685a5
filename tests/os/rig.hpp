// Memory under a userfaultfd, and threads that touch it, for the tests of this layer.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>
#include <weir/userfaultfd.hpp>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/pagemap.hpp"

namespace weir::test {

inline void print_skip(const char* test, const std::string& reason) {
  std::printf("skipped: %s: %s\n", test, reason.c_str());
  std::fflush(stdout);
}

// A descriptor with these features; nothing, and a printed reason, where it is not to be had.
inline std::optional<Userfaultfd> open_or_skip(const char* test,
                                               const Userfaultfd::Builder& builder) {
  auto uffd = builder.create();
  if (uffd) return std::move(*uffd);
  // Anything else than these two is a defect, not a reason to skip.
  CHECK_MESSAGE((uffd.error().code == ErrorCode::unsupported ||
                 uffd.error().code == ErrorCode::no_permission),
                uffd.error().message());
  print_skip(test, uffd.error().message());
  return std::nullopt;
}

// The members are destroyed from the last to the first: the descriptor is closed, which releases
// the threads, which are joined, then the memory goes.
struct Rig {
  std::vector<os::Mapping> mappings;
  std::vector<std::jthread> touchers;
  Userfaultfd uffd;

  explicit Rig(Userfaultfd&& descriptor) : uffd(std::move(descriptor)) {}

  // `pages` fresh pages, never huge, not registered.
  Range map(std::size_t pages) {
    auto mapping = os::Mapping::anonymous(pages * os::page_size(), os::HugePages::never);
    REQUIRE(mapping);
    mappings.push_back(std::move(*mapping));
    return mappings.back().range();
  }

  // Faults block until they are answered: so they are made by a thread of their own.
  template <class Body>
  void start(Body body) {
    touchers.emplace_back(std::move(body));
  }
  void join() { touchers.clear(); }

  // The next event; waits for it. The limit is only there to end a test that has already failed.
  UffdEvent next_event(const Userfaultfd& source) {
    for (;;) {
      pollfd wait{source.fd(), POLLIN, 0};
      REQUIRE(::poll(&wait, 1, 30'000) == 1);
      REQUIRE(wait.revents == POLLIN);
      auto event = source.read_event();
      REQUIRE_MESSAGE(event, event.error().message());
      if (auto* there = std::get_if<UffdEvent>(&*event)) return *there;
    }
  }
  UffdEvent next_event() { return next_event(uffd); }
  PagefaultEvent next_fault() {
    const UffdEvent event = next_event();
    REQUIRE(std::holds_alternative<PagefaultEvent>(event));
    return std::get<PagefaultEvent>(event);
  }
  bool has_no_event() {
    auto event = uffd.read_event();
    REQUIRE(event);
    return std::holds_alternative<std::monostate>(*event);
  }
};

inline Range page_of(Range range, std::size_t index, std::size_t count = 1) {
  return {range.begin + index * os::page_size(), count * os::page_size()};
}
// Atomic, since a test looks at a page while a thread waits in the middle of writing to it.
inline void poke(Address address, char value) {
  std::atomic_ref(*address.as<char>()).store(value, std::memory_order_relaxed);
}
inline char peek(Address address) {
  return std::atomic_ref(*address.as<char>()).load(std::memory_order_relaxed);
}

inline std::vector<char> page_filled_with(char value, std::size_t pages = 1) {
  return std::vector<char>(pages * os::page_size(), value);
}

inline std::uint64_t entry_of(Address page) {
  auto pagemap = os::Pagemap::open();
  REQUIRE(pagemap);
  std::uint64_t entry = 0;
  REQUIRE(pagemap->read_entries(page, std::span(&entry, 1)));
  return entry;
}
inline bool is_armed(Address page) {
  return (entry_of(page) & os::kEntryWriteProtected) != 0;
}
inline bool is_present(Address page) {
  return (entry_of(page) & os::kEntryPresent) != 0;
}

}  // namespace weir::test
