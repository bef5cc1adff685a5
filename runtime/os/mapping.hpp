// Memory mappings that undo themselves. Any thread.
#pragma once

#include <cstddef>
#include <string>
#include <weir/address.hpp>
#include <weir/error.hpp>

namespace weir::os {

enum class HugePages { system, never, prefer };  // what madvise asks for

// A private anonymous mapping; unmapped when destroyed.
class Mapping {
 public:
  // Address space only: no access, and in no core file, until commit(). Takes part in no overcommit
  // accounting.
  static Expected<Mapping> reserve(std::size_t bytes, std::size_t alignment = 0);
  // The same, far from everything that the kernel and the loader place by themselves, where it can
  // be: other processes find these addresses free. As random as all addresses are in this process.
  static Expected<Mapping> reserve_apart(std::size_t bytes, std::size_t alignment);
  // The same, at exactly these addresses. Error busy: something is mapped there.
  static Expected<Mapping> reserve_at(Range range);
  // Readable and writable.
  // `bytes` is rounded up to whole pages; the start is aligned to `alignment` (a power of two;
  // 0: pages).
  static Expected<Mapping> anonymous(std::size_t bytes, HugePages huge = HugePages::system,
                                     std::size_t alignment = 0);

  Mapping() = default;
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  ~Mapping();

  Range range() const { return range_; }
  template <class T = std::byte>
  T* as() const {
    return range_.begin.as<T>();
  }
  std::size_t size() const { return range_.size; }
  // Unmaps what is behind the first `bytes`: whole pages, and at least one of them stays.
  void shrink(std::size_t bytes);

 private:
  explicit Mapping(Range range) : range_(range) {}
  Range range_;
};

// "always", "madvise" or "never", as the system is set; empty: it has none.
std::string huge_page_setting();
// Whether a first touch may bring a huge page into memory that is committed like this.
bool may_be_huge(HugePages huge);

// Makes part of a reservation readable and writable, as zeros.
Expected<> commit(Range range, HugePages huge);
// Gives the memory back to the system; it reads as zeros from now on. Whole pages.
void discard(Range range);

enum class Access { none, read_only, read_write };
// mprotect(2). Error out_of_memory: it would take more mappings than vm.max_map_count allows.
// Async-signal-safe.
Expected<> set_access(Range range, Access access) noexcept;

// The range keeps its addresses and loses its memory: it reads as zeros from then on
// (MADV_DONTNEED).
Expected<> give_back(Range range);

// Gives every page of the range memory, without writing to it.
Expected<> populate_for_reading(Range range);
// The pages of the range, which is mapped, are there to be written. False: there is no memory for
// them, where a touch would wait for some without end (a memory cgroup whose OOM killer is off), or
// be killed. Kernels before 5.14 cannot tell. For the fault path, too.
bool populate_for_writing(Range range) noexcept;

// vm.max_map_count, or the kernel's default where /proc does not tell.
std::size_t max_map_count();

// True when every page of the range is mapped, whatever to. One system call.
bool is_mapped(Range range);

}  // namespace weir::os
