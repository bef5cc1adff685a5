// Memory that is attached to a barrier for as long as it lives.
#pragma once

#include <doctest/doctest.h>

#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "tests/support/backends.hpp"

namespace weir::test {

struct Attached {
  Attached(barrier::Barrier& b, std::size_t pages = 64, os::HugePages huge = os::HugePages::never)
      : barrier(b), mapping(os::Mapping::anonymous(pages * os::page_size(), huge).value()) {
    const auto attached = barrier.attach(mapping.range());
    REQUIRE_MESSAGE(attached.has_value(), attached.error().message());
  }
  ~Attached() { CHECK(barrier.detach(mapping.range()).has_value()); }

  Range range() const { return mapping.range(); }
  char* page(std::size_t index) const { return mapping.as<char>() + index * os::page_size(); }
  void populate() const {
    for (std::size_t i = 0; i < range().size / os::page_size(); ++i)
      store(barrier, page(i), static_cast<char>(i));
  }
  void arm() const { CHECK(barrier.arm(range()).has_value()); }
  PageSet take(barrier::Then then = barrier::Then::rearm) const {
    return take_pages(barrier, range(), then);
  }

  barrier::Barrier& barrier;
  os::Mapping mapping;
};

}  // namespace weir::test
