#include "runtime/os/mapping.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "runtime/os/page_size.hpp"

#if defined(__SANITIZE_THREAD__)
#define WEIR_THREAD_SANITIZER
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_THREAD_SANITIZER
#endif
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace weir::os {

namespace {

// The range of a fresh mapping, aligned.
Expected<Range> map_aligned(std::size_t bytes, std::size_t alignment, int protection) {
  const std::size_t size = Address(bytes).align_up(page_size()).value();
  const std::size_t slack = alignment > page_size() ? alignment - page_size() : 0;
  if (bytes == 0 || size < bytes || size + slack < size)
    return fail(ErrorCode::invalid_argument, "mapping memory", "a size of 0, or an absurd one");
  void* memory =
      ::mmap(nullptr, size + slack, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return system_error(errno, "mapping memory", Range{Address(), size});

  const Range whole = Range::of(memory, size + slack);
  const Address begin = slack ? whole.begin.align_up(alignment) : whole.begin;
  if (begin > whole.begin) ::munmap(memory, begin - whole.begin);
  if (begin + size < whole.end()) ::munmap((begin + size).as(), whole.end() - (begin + size));
  return Range{begin, size};
}

void advise(Range range, HugePages huge) {
  if (huge != HugePages::system)
    ::madvise(range.begin.as(), range.size,
              huge == HugePages::never ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
}

// A debugger would write all of what is reserved into a core file, in hours, as zeros.
void leave_out_of_core_files(Range range) {
  ::madvise(range.begin.as(), range.size, MADV_DONTDUMP);
}

}  // namespace

Expected<Mapping> Mapping::reserve(std::size_t bytes, std::size_t alignment) {
  auto range = map_aligned(bytes, alignment, PROT_NONE);
  if (!range) return Unexpected(range.error());
  leave_out_of_core_files(*range);
  return Mapping(*range);
}

Expected<Mapping> Mapping::reserve_apart(std::size_t bytes, std::size_t alignment) {
  auto somewhere = reserve(bytes, alignment);
#ifndef WEIR_THREAD_SANITIZER  // it knows where an application's memory lies
  if (!somewhere) return somewhere;
  constexpr std::uint64_t kFirst = std::uint64_t{16} << 40;
  constexpr std::uint64_t kPlaces = std::uint64_t{64} << 40;
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15u;  // spreads; 2^64 by the golden ratio
  const std::uint64_t hash = (somewhere->range().begin.value() >> 12) * kOdd;
  const Address wanted(kFirst + (hash >> 18) % kPlaces);
  auto apart = reserve_at({wanted.align_down(alignment), somewhere->range().size});
  if (apart) return apart;
#endif
  return somewhere;
}

Expected<Mapping> Mapping::reserve_at(Range range) {
  constexpr const char* kWhat = "mapping memory at a given address";
  void* memory = ::mmap(range.begin.as(), range.size, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (memory == MAP_FAILED)
    return errno == EEXIST ? fail(ErrorCode::busy, kWhat, "something is mapped there", range)
                           : system_error(errno, kWhat, range);
  Mapping mapping(Range::of(memory, range.size));
  if (mapping.range() != range)  // kernels before 4.17 take it for a wish
    return fail(ErrorCode::busy, kWhat, "something is mapped there", range);
  leave_out_of_core_files(range);
  return mapping;
}

Expected<Mapping> Mapping::anonymous(std::size_t bytes, HugePages huge, std::size_t alignment) {
  auto range = map_aligned(bytes, alignment, PROT_READ | PROT_WRITE);
  if (!range) return Unexpected(range.error());
  advise(*range, huge);
  return Mapping(*range);
}

// The word in brackets of "always [madvise] never".
std::string huge_page_setting() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
  for (std::string word; file >> word;)
    if (word.front() == '[' && word.back() == ']') return word.substr(1, word.size() - 2);
  return "";
}

bool may_be_huge(HugePages huge) {
  if (huge == HugePages::never || ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) == 1) return false;
  const std::string setting = huge_page_setting();
  return setting == "always" || (setting == "madvise" && huge == HugePages::prefer);
}

Expected<> commit(Range range, HugePages huge) {
  if (auto done = set_access(range, Access::read_write); !done) return done;
  ::madvise(range.begin.as(), range.size, MADV_DODUMP);
  advise(range, huge);
  return {};
}

void discard(Range range) {
  ::madvise(range.begin.as(), range.size, MADV_DONTNEED);
}

Mapping::Mapping(Mapping&& other) noexcept : range_(std::exchange(other.range_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(range_, other.range_);
  return *this;
}

Mapping::~Mapping() {
  if (!range_.empty()) ::munmap(range_.begin.as(), range_.size);
}

void Mapping::shrink(std::size_t bytes) {
  ::munmap((range_.begin + bytes).as(), range_.size - bytes);
  range_.size = bytes;
}

Expected<> give_back(Range range) {
  if (::madvise(range.begin.as(), range.size, MADV_DONTNEED) == 0) return {};
  return system_error(errno, "giving memory back to the system", range);
}

Expected<> set_access(Range range, Access access) noexcept {
  const int protection = access == Access::none        ? PROT_NONE
                         : access == Access::read_only ? PROT_READ
                                                       : PROT_READ | PROT_WRITE;
  if (::mprotect(range.begin.as(), range.size, protection) == 0) return {};
  if (errno == ENOMEM && is_mapped(range))
    return fail(ErrorCode::out_of_memory, "changing the protection of memory",
                "the process has as many mappings as vm.max_map_count allows", range,
                "Raise vm.max_map_count, or use a barrier on userfaultfd, which adds none");
  return system_error(errno, "changing the protection of memory", range);
}

Expected<> populate_for_reading(Range range) {
  if (::madvise(range.begin.as(), range.size, MADV_POPULATE_READ) == 0) return {};
  if (errno != EINVAL) return system_error(errno, "populating memory", range);
  for (Address page = range.begin; page < range.end(); page = page + page_size())
    (void)*page.as<const volatile char>();  // kernels before 5.14
  return {};
}

bool populate_for_writing(Range range) noexcept {
  const Address first = range.begin.align_down(page_size());
  return ::madvise(first.as(), range.end() - first, MADV_POPULATE_WRITE) == 0 || errno != ENOMEM;
}

std::size_t max_map_count() {
  std::size_t count = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> count;
  constexpr std::size_t kKernelDefault = 65530;
  return count != 0 ? count : kKernelDefault;
}

bool is_mapped(Range range) {
  // Of all flags, MS_ASYNC does nothing today but look at the mappings.
  const Address first = range.begin.align_down(page_size());
  return ::msync(first.as(), range.end() - first, MS_ASYNC) == 0;
}

}  // namespace weir::os
