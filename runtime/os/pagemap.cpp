#include "runtime/os/pagemap.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/os/abi.hpp"

namespace weir::os {
namespace {

static_assert(sizeof(PageRegion) == sizeof(abi::PageRegion) &&
              offsetof(PageRegion, start) == offsetof(abi::PageRegion, start) &&
              offsetof(PageRegion, end) == offsetof(abi::PageRegion, end) &&
              offsetof(PageRegion, categories) == offsetof(abi::PageRegion, categories));

constexpr const char* kScanning = "scanning the page tables (PAGEMAP_SCAN)";
constexpr const char* kReading = "reading /proc/self/pagemap";

// The kernel collects regions in pieces of 512. When one call needs several pieces and the last is
// not full, walk_end is left where the piece before ended, and to resume there reports pages twice.
// So no call asks for more than one piece.
constexpr std::size_t kRegionsPerCall = 512;

bool mentions_written(const ScanQuery& query) {
  return (query.all_of | query.any_of | query.inverted | query.report).has(PageCategory::written);
}

Unexpected scan_error(int sys_errno, Range range) {
  Unexpected error = system_error(sys_errno, kScanning, range);
  if (sys_errno == EPERM) {
    error.value().code = ErrorCode::not_registered;
    error.value().detail =
        "a part of it is not, or no longer, registered with a userfaultfd that has wp_async";
  } else if (sys_errno == ENOTTY) {
    error.value().detail = "this kernel does not have PAGEMAP_SCAN (Linux 6.7 or newer has it)";
    error.value().advice = "use another write barrier";
  }
  return error;
}

}  // namespace

Expected<Pagemap> Pagemap::open() {
  const int fd = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return system_error(errno, "opening /proc/self/pagemap", {}, "is /proc mounted and readable?");
  Pagemap pagemap;
  pagemap.fd_ = MemoryFd(fd);
  return pagemap;
}

Expected<> Pagemap::check_is_ours(const char* what, Range range) const {
  if (fd_.is_intact()) return {};
  return fail(ErrorCode::closed, what,
              "somebody closed the descriptor, or there is none, as after a fork", range,
              "Keep descriptors that you did not open");
}

Expected<ScanStep> Pagemap::scan_step(Range range, const ScanQuery& query, PageRegion* regions,
                                      std::size_t count) const {
  if (!range.is_aligned(page_size()))
    return fail(ErrorCode::misaligned, kScanning, "a range is whole pages", range);
  if (auto ours = check_is_ours(kScanning, range); !ours) return Unexpected(ours.error());
  abi::PmScanArg argument{};
  argument.size = sizeof argument;
  argument.flags = (query.rearm ? abi::kScanWpMatching : 0) |
                   (query.check_wp_async ? abi::kScanCheckWpAsync : 0);
  argument.start = range.begin.value();
  argument.end = range.end().value();
  argument.vec = Address(regions).value();
  argument.vec_len = count;
  argument.max_pages = query.max_pages;
  argument.category_mask = query.all_of.bits();
  argument.category_anyof_mask = query.any_of.bits();
  argument.category_inverted = query.inverted.bits();
  argument.return_mask = query.report.bits();
  const int filled = ::ioctl(fd(), abi::kPagemapScan, &argument);
  if (filled < 0) return scan_error(errno, range);
  if (argument.walk_end <= argument.start)
    return fail(ErrorCode::invalid_argument, kScanning,
                "no progress: a hugetlbfs page is only partly in the range or in max_pages", range);
  return ScanStep{static_cast<std::size_t>(filled), Address(argument.walk_end)};
}

Expected<ScanStep> Pagemap::scan_once(Range range, const ScanQuery& query,
                                      std::span<PageRegion> buffer) const {
  if (buffer.empty() || query.report.empty())
    return fail(ErrorCode::invalid_argument, kScanning,
                "a scan needs a buffer of one region or more, and a category to report", range);
  if (!query.check_wp_async && (query.rearm || mentions_written(query)))
    return fail(ErrorCode::invalid_argument, kScanning,
                "asking for written pages without check_wp_async: after the userfaultfd was closed "
                "it would report none",
                range);
  return scan_step(range, query, buffer.data(), std::min(buffer.size(), kRegionsPerCall));
}

Expected<> Pagemap::rearm(Range range) const {
  ScanQuery all;
  all.rearm = true;
  for (Address from = range.begin; from < range.end();) {
    const auto step = scan_step(Range::between(from, range.end()), all, nullptr, 0);
    if (!step) return Unexpected(step.error());
    from = step->walk_end;
  }
  return {};
}

Expected<> Pagemap::read_entries(Address first_page, std::span<std::uint64_t> entries) const {
  const Range range{first_page, entries.size() * page_size()};
  if (!first_page.is_aligned(page_size()))
    return fail(ErrorCode::misaligned, kReading, "not the start of a page", range);
  if (auto ours = check_is_ours(kReading, range); !ours) return ours;
  auto* to = reinterpret_cast<char*>(entries.data());
  std::size_t left = entries.size_bytes();
  auto offset = static_cast<off_t>((first_page.value() >> page_shift()) * sizeof(std::uint64_t));
  while (left > 0) {
    const ssize_t got = ::pread(fd(), to, left, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, kReading, range);
    if (got == 0)
      return fail(ErrorCode::not_registered, kReading, "it ends beyond the address space", range);
    to += got;
    offset += got;
    left -= static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace weir::os
