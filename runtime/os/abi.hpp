// The kernel's userfaultfd and PAGEMAP_SCAN interfaces, as of Linux 6.18. Of our own, because a
// distribution's headers are older than the kernel it runs; checked against the kernel's numbers by
// the assertions at the end. Names are those of the kernel's headers, less their prefixes.
#pragma once

#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

namespace weir::os::abi {

// userfaultfd(2)

inline constexpr std::uint64_t kUffdApi = 0xaa;
inline constexpr int kUserModeOnly = 1;  // open flag, beside O_CLOEXEC and O_NONBLOCK
inline constexpr std::uint64_t kFeatureInitialized = 1ull << 31;  // seen in fdinfo only

struct UffdioApi {
  std::uint64_t api;
  std::uint64_t features;
  std::uint64_t ioctls;
};

struct UffdioRange {
  std::uint64_t start;
  std::uint64_t len;
};

struct UffdioRegister {
  UffdioRange range;
  std::uint64_t mode;
  std::uint64_t ioctls;
};
inline constexpr std::uint64_t kRegisterMissing = 1, kRegisterWp = 2, kRegisterMinor = 4;

// In each of these the last field is the outcome: bytes done, or a negative errno.
struct UffdioCopy {
  std::uint64_t dst;
  std::uint64_t src;
  std::uint64_t len;
  std::uint64_t mode;
  std::int64_t copy;
};
inline constexpr std::uint64_t kCopyDontWake = 1, kCopyWp = 2;

struct UffdioZeropage {
  UffdioRange range;
  std::uint64_t mode;
  std::int64_t zeropage;
};
inline constexpr std::uint64_t kZeropageDontWake = 1;

struct UffdioContinue {
  UffdioRange range;
  std::uint64_t mode;
  std::int64_t mapped;
};
inline constexpr std::uint64_t kContinueDontWake = 1, kContinueWp = 2;

struct UffdioPoison {
  UffdioRange range;
  std::uint64_t mode;
  std::int64_t updated;
};
inline constexpr std::uint64_t kPoisonDontWake = 1;

struct UffdioMove {
  std::uint64_t dst;
  std::uint64_t src;
  std::uint64_t len;
  std::uint64_t mode;
  std::int64_t move;
};
inline constexpr std::uint64_t kMoveDontWake = 1, kMoveAllowSourceHoles = 2;

struct UffdioWriteprotect {
  UffdioRange range;
  std::uint64_t mode;
};
// DONTWAKE goes with the removal of the protection only; together with WP it is EINVAL.
inline constexpr std::uint64_t kWriteprotectWp = 1, kWriteprotectDontWake = 2;

inline constexpr unsigned long kNewUserfaultfd = _IO(0xaa, 0x00);  // of /dev/userfaultfd
inline constexpr unsigned long kApi = _IOWR(0xaa, 0x3f, UffdioApi);
inline constexpr unsigned long kRegister = _IOWR(0xaa, 0x00, UffdioRegister);
inline constexpr unsigned long kUnregister = _IOR(0xaa, 0x01, UffdioRange);  // _IOR, though inputs
inline constexpr unsigned long kWake = _IOR(0xaa, 0x02, UffdioRange);
inline constexpr unsigned long kCopy = _IOWR(0xaa, 0x03, UffdioCopy);
inline constexpr unsigned long kZeropage = _IOWR(0xaa, 0x04, UffdioZeropage);
inline constexpr unsigned long kMove = _IOWR(0xaa, 0x05, UffdioMove);
inline constexpr unsigned long kWriteprotect = _IOWR(0xaa, 0x06, UffdioWriteprotect);
inline constexpr unsigned long kContinue = _IOWR(0xaa, 0x07, UffdioContinue);
inline constexpr unsigned long kPoison = _IOWR(0xaa, 0x08, UffdioPoison);

enum class UffdEventCode : std::uint8_t {
  pagefault = 0x12,
  fork = 0x13,
  remap = 0x14,
  remove = 0x15,
  unmap = 0x16,
};
inline constexpr std::uint64_t kFaultWrite = 1, kFaultWp = 2, kFaultMinor = 4;

struct UffdMsg {
  UffdEventCode event;
  std::uint8_t reserved1;
  std::uint16_t reserved2;
  std::uint32_t reserved3;
  union {
    struct {
      std::uint64_t flags;
      std::uint64_t address;
      std::uint32_t thread;
    } pagefault;
    struct {
      std::uint32_t fd;
    } fork;
    struct {
      std::uint64_t from;
      std::uint64_t to;
      std::uint64_t len;
    } remap;
    struct {
      std::uint64_t start;
      std::uint64_t end;
    } remove;  // and unmap
  };
};

// PAGEMAP_SCAN, an ioctl of /proc/pid/pagemap

struct PageRegion {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};

struct PmScanArg {
  std::uint64_t size;  // of this structure
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;  // out
  std::uint64_t vec;
  std::uint64_t vec_len;
  std::uint64_t max_pages;
  std::uint64_t category_inverted;
  std::uint64_t category_mask;
  std::uint64_t category_anyof_mask;
  std::uint64_t return_mask;
};
inline constexpr std::uint64_t kScanWpMatching = 1, kScanCheckWpAsync = 2;
inline constexpr unsigned long kPagemapScan = _IOWR('f', 16, PmScanArg);

static_assert(sizeof(UffdioApi) == 24 && sizeof(UffdioRange) == 16);
static_assert(sizeof(UffdioRegister) == 32 && sizeof(UffdioCopy) == 40);
static_assert(sizeof(UffdioZeropage) == 32 && sizeof(UffdioWriteprotect) == 24);
static_assert(sizeof(UffdioContinue) == 32 && sizeof(UffdioPoison) == 32);
static_assert(sizeof(UffdioMove) == 40 && sizeof(UffdMsg) == 32);
static_assert(sizeof(PmScanArg) == 96 && sizeof(PageRegion) == 24);
static_assert(offsetof(UffdMsg, pagefault.flags) == 8 &&
              offsetof(UffdMsg, pagefault.address) == 16 &&
              offsetof(UffdMsg, pagefault.thread) == 24);
static_assert(offsetof(UffdMsg, fork.fd) == 8 && offsetof(UffdMsg, remove.end) == 16);
static_assert(offsetof(UffdMsg, remap.from) == 8 && offsetof(UffdMsg, remap.to) == 16 &&
              offsetof(UffdMsg, remap.len) == 24);
#if defined(__x86_64__) || defined(__aarch64__)  // the encoding is another on a few machines
static_assert(kNewUserfaultfd == 0xaa00 && kApi == 0xc018aa3f && kRegister == 0xc020aa00);
static_assert(kUnregister == 0x8010aa01 && kWake == 0x8010aa02 && kCopy == 0xc028aa03);
static_assert(kZeropage == 0xc020aa04 && kMove == 0xc028aa05 && kWriteprotect == 0xc018aa06);
static_assert(kContinue == 0xc020aa07 && kPoison == 0xc020aa08 && kPagemapScan == 0xc0606610);
#endif
#if defined(__x86_64__)
static_assert(SYS_userfaultfd == 323);
#elif defined(__aarch64__)
static_assert(SYS_userfaultfd == 282);
#endif

}  // namespace weir::os::abi
