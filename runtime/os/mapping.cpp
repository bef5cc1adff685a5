#include "runtime/os/mapping.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "runtime/os/page_size.hpp"

namespace weir::os {

Expected<Mapping> Mapping::anonymous(std::size_t bytes, HugePages huge, std::size_t alignment) {
  const std::size_t size = Address(bytes).align_up(page_size()).value();
  const std::size_t slack = alignment > page_size() ? alignment - page_size() : 0;
  if (bytes == 0 || size < bytes || size + slack < size)
    return fail(ErrorCode::invalid_argument, "mapping memory", "a size of 0, or an absurd one");
  void* memory = ::mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return system_error(errno, "mapping memory", Range{Address(), size});

  const Range whole = Range::of(memory, size + slack);
  const Address begin = slack ? whole.begin.align_up(alignment) : whole.begin;
  if (begin > whole.begin) ::munmap(memory, begin - whole.begin);
  if (begin + size < whole.end()) ::munmap((begin + size).as(), whole.end() - (begin + size));
  if (huge != HugePages::system)
    ::madvise(begin.as(), size, huge == HugePages::never ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
  return Mapping(Range{begin, size});
}

Mapping::Mapping(Mapping&& other) noexcept : range_(std::exchange(other.range_, {})) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(range_, other.range_);
  return *this;
}

Mapping::~Mapping() {
  if (!range_.empty()) ::munmap(range_.begin.as(), range_.size);
}

}  // namespace weir::os
