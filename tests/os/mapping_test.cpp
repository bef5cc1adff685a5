#include "runtime/os/mapping.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "runtime/os/page_size.hpp"

namespace weir::os {
namespace {

bool is_mapped(Range range) {
  return ::msync(range.begin.as(), range.size, MS_ASYNC) == 0;
}

// The VmFlags line of the mapping that holds the address.
std::string flags_of(Address address) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
      here = begin <= address.value() && address.value() < end;
    if (here && line.starts_with("VmFlags:")) return line + " ";
  }
  return "";
}

TEST_CASE("the page size is the system's") {
  CHECK(page_size() == static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  CHECK((std::size_t{1} << page_shift()) == page_size());
}

TEST_CASE("a mapping is zero, writable, of whole pages, and goes away") {
  Range range;
  {
    auto memory = Mapping::anonymous(page_size() + 1);
    REQUIRE(memory);
    range = memory->range();
    CHECK(range.size == 2 * page_size());
    CHECK(range.is_aligned(page_size()));
    auto* bytes = memory->as<unsigned char>();
    CHECK(bytes[0] == 0);
    CHECK(bytes[range.size - 1] == 0);
    bytes[range.size - 1] = 7;
    CHECK(bytes[range.size - 1] == 7);
    CHECK(is_mapped(range));
  }
  CHECK_FALSE(is_mapped(range));
}

TEST_CASE("an alignment beyond the page is kept, and nothing more stays mapped") {
  for (std::size_t alignment : {page_size(), 16 * page_size(), std::size_t{2} << 20}) {
    auto memory = Mapping::anonymous(3 * page_size(), HugePages::never, alignment);
    REQUIRE(memory);
    CHECK(memory->range().begin.is_aligned(alignment));
    CHECK(memory->range().size == 3 * page_size());
    CHECK(is_mapped(memory->range()));
  }
}

TEST_CASE("huge pages are asked for and refused") {
  auto never = Mapping::anonymous(page_size(), HugePages::never);
  auto prefer = Mapping::anonymous(page_size(), HugePages::prefer);
  REQUIRE(never);
  REQUIRE(prefer);
  const std::string flags = flags_of(prefer->range().begin);
  if (!std::ifstream("/sys/kernel/mm/transparent_hugepage/enabled")) {
    std::printf("skipped: this kernel has no transparent huge pages\n");
    return;
  }
  CHECK(flags.find(" hg ") != std::string::npos);
  CHECK(flags_of(never->range().begin).find(" nh ") != std::string::npos);
}

TEST_CASE("a mapping of nothing, or of everything, is an error") {
  CHECK(Mapping::anonymous(0).error().code == ErrorCode::invalid_argument);
  CHECK(Mapping::anonymous(~std::size_t{0}).error().code == ErrorCode::invalid_argument);
  CHECK(Mapping::anonymous(~std::size_t{0} - (std::size_t{1} << 20)).error().code ==
        ErrorCode::out_of_memory);
}

TEST_CASE("a mapping moves") {
  auto made = Mapping::anonymous(page_size());
  REQUIRE(made);
  const Range range = made->range();
  Mapping other = std::move(*made);
  CHECK(made->range().empty());
  CHECK(other.range() == range);
  Mapping third;
  third = std::move(other);
  CHECK(third.range() == range);
  CHECK(is_mapped(range));
}

TEST_CASE("a reservation has no memory until it is committed, and then zeros") {
  constexpr std::size_t kAlignment = std::size_t{2} << 20;
  auto memory = Mapping::reserve(std::size_t{1} << 40, kAlignment);
  REQUIRE(memory);
  CHECK(memory->range().begin.is_aligned(kAlignment));
  CHECK(is_mapped(memory->range()));
  const Range part{memory->range().begin + kAlignment, 3 * page_size()};
  // The kernel cannot read what is not accessible, and says so.
  const auto is_readable = [](Address a) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const bool readable = ::write(ends[1], a.as(), 1) == 1;
    ::close(ends[0]);
    ::close(ends[1]);
    return readable;
  };
  CHECK_FALSE(is_readable(part.begin));
  REQUIRE(commit(part, HugePages::never));
  CHECK(is_readable(part.begin));
  CHECK(is_readable(part.end() - 1));
  CHECK_FALSE(is_readable(part.begin - 1));
  CHECK_FALSE(is_readable(part.end()));
  auto* bytes = part.begin.as<unsigned char>();
  for (std::size_t i = 0; i < part.size; ++i) REQUIRE(bytes[i] == 0);
  std::memset(bytes, 7, part.size);
  CHECK(commit(part, HugePages::never));
  CHECK(bytes[part.size - 1] == 7);
}

TEST_CASE("what is discarded reads as zeros, its neighbours as before") {
  auto memory = Mapping::anonymous(3 * page_size());
  REQUIRE(memory);
  auto* bytes = memory->as<unsigned char>();
  std::memset(bytes, 7, memory->size());
  discard({memory->range().begin + page_size(), page_size()});
  for (std::size_t i = 0; i < memory->size(); ++i)
    REQUIRE(bytes[i] == (i / page_size() == 1 ? 0 : 7));
  bytes[page_size()] = 9;
  CHECK(bytes[page_size()] == 9);
}

TEST_CASE("committing what is no mapping is an error") {
  Range range;
  {
    auto memory = Mapping::reserve(page_size());
    REQUIRE(memory);
    range = memory->range();
  }
  CHECK_FALSE(commit(range, HugePages::system));
}

}  // namespace
}  // namespace weir::os
