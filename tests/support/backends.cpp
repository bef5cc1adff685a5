#include "tests/support/backends.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace weir::test {

std::string Backend::name() const {
  std::string name = name_of(kind);
  if (kind == BarrierKind::async && delivery) name += std::string("+") + name_of(*delivery);
  if (user_mode_only) name += "+user-mode";
  return name;
}

std::unique_ptr<barrier::Barrier> Backend::open() const {
  auto barrier = barrier::open_barrier(kind, delivery, user_mode_only);
  if (barrier) return std::move(*barrier);
  std::printf("skipped %s: %s\n", name().c_str(), barrier.error().message().c_str());
  return nullptr;
}

std::vector<Backend> backends() {
  std::vector<Backend> all = {
      {BarrierKind::async, Delivery::thread}, {BarrierKind::async, Delivery::sigbus},
      {BarrierKind::uffd_thread, {}},         {BarrierKind::uffd_thread, {}, true},
      {BarrierKind::uffd_sigbus, {}},         {BarrierKind::mprotect, {}},
      {BarrierKind::soft_dirty, {}},          {BarrierKind::cards, {}},
      {BarrierKind::always_dirty, {}},
  };
  if (const char* only = std::getenv("WEIR_TEST_BACKEND"); only != nullptr)
    std::erase_if(all, [&](const Backend& backend) { return backend.name() != only; });
  return all;
}

void for_each_backend(const std::function<void(barrier::Barrier&)>& body) {
  std::size_t tested = 0;
  for (const Backend& backend : backends()) {
    const auto barrier = backend.open();
    if (barrier == nullptr) continue;
    INFO("back-end ", backend.name());
    body(*barrier);
    ++tested;
  }
  CHECK(tested > 0);
}

PageSet take_pages(barrier::Barrier& barrier, Range range, barrier::Then then, std::size_t unit) {
  PageSet pages;
  std::size_t bytes = 0;
  Address last = range.begin;
  const auto sink = [&](Range run) {
    CHECK(range.contains(run));
    CHECK(run.begin >= last);  // address order, no overlap
    CHECK(run.is_aligned(barrier.traits().granularity));
    last = run.end();
    bytes += run.size;
    for (Address a = run.begin; a < run.end(); a = a + barrier.traits().granularity)
      pages.insert((a - range.begin) / unit);
  };
  const auto taken = barrier.take(range, sink, then);
  REQUIRE_MESSAGE(taken.has_value(), taken.error().message());
  CHECK(*taken == bytes);
  return pages;
}

bool reports(barrier::Barrier& barrier, const PageSet& reported, const PageSet& written) {
  const bool exact =
      barrier.kind() != BarrierKind::always_dirty && barrier.kind() != BarrierKind::soft_dirty;
  return exact ? reported == written
               : std::includes(reported.begin(), reported.end(), written.begin(), written.end());
}

}  // namespace weir::test
