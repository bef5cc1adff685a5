// userfaultfd(2), typed: page faults of registered memory, answered by the program.
//
// One object owns one descriptor. Every operation on pages is a single system call, allocates
// nothing, and may be made from any thread and from signal handlers, save where noted; moving or
// destroying the object while another thread uses it is the caller's race. Ranges are whole pages.
// See userfaultfd(2) and docs/os.md for what the kernel really does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>
#include <weir/address.hpp>
#include <weir/error.hpp>
#include <weir/flags.hpp>
#include <weir/memory_fd.hpp>

namespace weir {

// Features of the kernel's userfaultfd; the values are the kernel's bits.
enum class UffdFeature : std::uint64_t {
  pagefault_flag_wp = 1 << 0,
  event_fork = 1 << 1,
  event_remap = 1 << 2,
  event_remove = 1 << 3,
  missing_hugetlbfs = 1 << 4,
  missing_shmem = 1 << 5,
  event_unmap = 1 << 6,
  sigbus = 1 << 7,
  thread_id = 1 << 8,
  minor_hugetlbfs = 1 << 9,
  minor_shmem = 1 << 10,
  exact_address = 1 << 11,
  wp_hugetlbfs_shmem = 1 << 12,
  wp_unpopulated = 1 << 13,  // Linux 6.4
  poison = 1 << 14,          // Linux 6.6
  wp_async = 1 << 15,        // Linux 6.7
  move = 1 << 16,            // Linux 6.8
};
using UffdFeatures = Flags<UffdFeature>;
const char* name_of(UffdFeature feature);  // "wp_async", ...; "unknown" for a newer kernel's

// What may be done with a descriptor, or with a registered range (one bit per ioctl *number*, as
// the kernel reports them).
enum class UffdIoctl : std::uint64_t {
  register_range = 1ull << 0x00,
  unregister = 1ull << 0x01,
  wake = 1ull << 0x02,
  copy = 1ull << 0x03,
  zeropage = 1ull << 0x04,
  move = 1ull << 0x05,
  write_protect = 1ull << 0x06,
  continue_range = 1ull << 0x07,
  poison = 1ull << 0x08,
  api = 1ull << 0x3f,
};
using UffdIoctls = Flags<UffdIoctl>;

enum class RegisterMode : std::uint64_t { missing = 1, write_protect = 2, minor = 4 };
using RegisterModes = Flags<RegisterMode>;

// How a descriptor was obtained, best first.
enum class UffdOpenPath {
  device,          // /dev/userfaultfd: full, needs only the right to open the file (Linux 6.1)
  system_call,     // userfaultfd(2): full, needs CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1
  user_mode_only,  // userfaultfd(2) with UFFD_USER_MODE_ONLY: faults of system calls get EFAULT
  adopted,         // from_raw_fd
};
const char* name_of(UffdOpenPath path);

// One rung of the ladder that did not hold, and why.
struct UffdRefusal {
  UffdOpenPath path;
  int sys_errno;
};

// close_in_child (default): after fork(2), every operation of the child fails with `closed`.
using UffdForkPolicy = ForkPolicy;

// Result of an operation on pages. `bytes` is what was done from the start of the range, whatever
// the outcome. The kernel's in-band error (a negative count) never shows up as a count. Write
// protection and its removal have no count: where they fail, `bytes` is 0 and a part may be done.
enum class UffdOutcome {
  done,
  partial,          // stopped before the end: go on at `bytes`, the next call tells why
  exists,           // EEXIST: the page there is already populated; nobody was woken
  again,            // EAGAIN: the address space is changing; drain events, then retry
  not_found,        // ENOENT: not registered here, or the source of a MOVE is a hole
  no_such_process,  // ESRCH: the process that owns the memory is gone
  no_memory,        // ENOMEM: also a memory cgroup at its limit
  bad_address,      // EFAULT: the source cannot be read
  invalid,          // EINVAL: misaligned, a mode this range does not have, ...
  busy,             // EBUSY: MOVE of a page that is shared or pinned
  closed,           // EBADF, ENOTTY: the descriptor is gone or is something else now
  interrupted,      // EINTR: a fatal signal is pending
  failed,           // anything else, see sys_errno
};
const char* name_of(UffdOutcome outcome);

struct [[nodiscard]] UffdResult {
  UffdOutcome outcome = UffdOutcome::done;
  std::size_t bytes = 0;
  int sys_errno = 0;
  bool ok() const { return outcome == UffdOutcome::done; }
};
// The same as a sentence.
Error error_of(const UffdResult& result, const char* what, Range where);

enum class CopyMode { plain, write_protected };  // write_protected: the page arrives armed
enum class WakeMode { wake, dont_wake };         // dont_wake: the caller wakes the range later

// Events, as read from the descriptor.
struct PagefaultEvent {
  Address address;       // page-aligned unless UffdFeature::exact_address
  bool write;            // the access was a write
  bool write_protected;  // the page is there, but armed
  bool minor;            // the page is in the page cache, but not mapped
  std::uint32_t thread;  // of the faulting thread, with UffdFeature::thread_id, else 0
};
struct ForkEvent {
  int child_fd;  // owned by whoever reads the event; wrap it with Userfaultfd::from_raw_fd
};
struct RemapEvent {
  Address from, to;
  std::size_t size;
};
struct RemoveEvent {
  Range range;
};
struct UnmapEvent {
  Range range;
};
struct UnknownEvent {
  std::uint8_t code;
};
using UffdEvent =
    std::variant<PagefaultEvent, ForkEvent, RemapEvent, RemoveEvent, UnmapEvent, UnknownEvent>;

// Memory for read_events: room for `capacity` kernel messages, allocated once.
class UffdEventBuffer {
 public:
  explicit UffdEventBuffer(std::size_t capacity);
  std::size_t capacity() const { return storage_.size() / kMessageSize; }

 private:
  friend class Userfaultfd;
  static constexpr std::size_t kMessageSize = 32;
  std::vector<std::byte> storage_;
};

// What /proc/self/fdinfo says of a descriptor.
struct UffdInfo {
  std::uint64_t pending = 0;  // faults not yet read
  std::uint64_t total = 0;    // faults not yet resolved, read ones included
  UffdFeatures features;      // as the kernel runs it, implied ones included
};

class Userfaultfd {
 public:
  class Builder;

  // What the kernel offers, asked on a throwaway descriptor. A full descriptor is tried first.
  static Expected<UffdFeatures> available_features();

  // Takes ownership of a descriptor whose API handshake is done (`features` is what was agreed on)
  // or is not wanted.
  static Userfaultfd from_raw_fd(int fd, UffdFeatures features = {},
                                 UffdForkPolicy policy = UffdForkPolicy::close_in_child);
  // Gives the descriptor up, open; this object is empty then.
  int release();

  // Empty: every operation fails with `closed`. Movable. The destructor closes, whereupon a thread
  // that waits for a page gets a zero page [fill-then-close].
  Userfaultfd() = default;

  bool is_open() const { return fd_.is_open(); }
  int fd() const { return fd_.get(); }  // stays owned by this object; -1 when empty
  UffdFeatures features() const { return features_; }
  UffdOpenPath open_path() const { return path_; }
  bool is_full() const {
    return path_ == UffdOpenPath::device || path_ == UffdOpenPath::system_call;
  }
  // The rungs tried before the one that held.
  std::span<const UffdRefusal> refusals() const { return {refusals_, refusal_count_}; }

  // Returns what may be done with the range; that, not success, tells whether a mode works. Errors,
  // all without effect: busy (another descriptor has it), unsupported (this memory cannot),
  // misaligned, not_registered (a part of it is not mapped). Registering again with fewer modes
  // changes nothing: unregister first.
  Expected<UffdIoctls> register_range(Range range);  // MISSING, as the kernel's first users did
  Expected<UffdIoctls> register_with_mode(Range range, RegisterModes modes);
  Expected<> unregister(Range range);  // does not wake threads that wait for write protection

  UffdResult copy(Address to, const void* from, std::size_t bytes, CopyMode mode = CopyMode::plain,
                  WakeMode wake = WakeMode::wake) const;
  UffdResult zeropage(Range range, WakeMode wake = WakeMode::wake) const;
  UffdResult continue_range(Range range, CopyMode mode = CopyMode::plain,
                            WakeMode wake = WakeMode::wake) const;
  UffdResult poison(Range range, WakeMode wake = WakeMode::wake) const;
  UffdResult move(Address to, Address from, std::size_t bytes, bool allow_source_holes = false,
                  WakeMode wake = WakeMode::wake) const;
  UffdResult write_protect(Range range) const;
  UffdResult remove_write_protection(Range range, WakeMode wake = WakeMode::wake) const;
  UffdResult wake(Range range) const;

  // The next event; empty when there is none now (non-blocking descriptors). Not for signal
  // handlers. POLLERR on a blocking descriptor is the kernel's doing: poll only non-blocking ones.
  Expected<std::variant<std::monostate, UffdEvent>> read_event() const;
  // As many as are there, at most the buffer's capacity, in the kernel's order, appended to
  // `events` (reserve it beforehand, and this allocates nothing). Returns how many; 0: none now.
  Expected<std::size_t> read_events(UffdEventBuffer& buffer, std::vector<UffdEvent>& events) const;

  Expected<UffdInfo> info() const;  // reads /proc; not for signal handlers

 private:
  static constexpr std::size_t kMaxRefusals = 3;

  MemoryFd fd_;
  UffdOpenPath path_ = UffdOpenPath::adopted;
  UffdFeatures features_;
  UffdRefusal refusals_[kMaxRefusals] = {};
  std::size_t refusal_count_ = 0;
};

// Opens a userfaultfd: walks the ladder device, system call, user-mode-only system call, and keeps
// why each rung refused. An error names all of them.
class Userfaultfd::Builder {
 public:
  Builder& close_on_exec(bool yes) { return close_on_exec_ = yes, *this; }    // default true
  Builder& non_blocking(bool yes) { return non_blocking_ = yes, *this; }      // default true
  Builder& user_mode_only(bool yes) { return user_mode_only_ = yes, *this; }  // only that rung
  Builder& require_full(bool yes) { return require_full_ = yes, *this; }      // never that rung
  Builder& require_features(UffdFeatures features) { return required_ |= features, *this; }
  // Agreed on where the kernel has them and this process may have them.
  Builder& want_features(UffdFeatures features) { return wanted_ |= features, *this; }
  // Of the descriptor: api, register_range, unregister. Those of a range depend on its memory;
  // register_range returns them, and asking for them here is an error.
  Builder& require_ioctls(UffdIoctls ioctls) { return ioctls_ |= ioctls, *this; }
  Builder& fork_policy(UffdForkPolicy policy) { return policy_ = policy, *this; }
  Expected<Userfaultfd> create() const;

 private:
  bool close_on_exec_ = true;
  bool non_blocking_ = true;
  bool user_mode_only_ = false;
  bool require_full_ = false;
  UffdFeatures required_;
  UffdFeatures wanted_;
  UffdIoctls ioctls_;
  UffdForkPolicy policy_ = UffdForkPolicy::close_in_child;
};

}  // namespace weir
