// A page source with an oracle, and a barrier that remembers what it was told, for the tests of the
// fault server.
#pragma once

#include <sched.h>

#include <atomic>
#include <csetjmp>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "runtime/faults/fault_server.hpp"
#include "tests/os/rig.hpp"
#include "tests/support/random.hpp"

namespace weir::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

// Page contents made beforehand, in plain memory. Fills a whole cluster at a time.
class OracleSource final : public faults::PageSource {
 public:
  OracleSource(std::uint64_t seed, std::size_t pages, std::size_t cluster = 1)
      : cluster_(cluster), image_(pages * os::page_size()), state_(pages) {
    Random random(seed);
    for (std::size_t i = 0; i < image_.size(); i += sizeof(std::uint64_t)) {
      const std::uint64_t word = random() | 1;  // no word is zero
      std::memcpy(&image_[i], &word, sizeof word);
    }
  }

  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override {
    fills.fetch_add(1);
    const std::size_t page = offset / os::page_size();
    if (state_[page] == kDamaged) {
      if (poisons_itself) return filler.poison(offset, os::page_size());
      return UffdOutcome::failed;
    }
    if (state_[page] == kRemoved) return filler.zero(offset, os::page_size());
    const std::size_t first = page / cluster_ * cluster_;
    const std::size_t past = std::min(first + cluster_, state_.size());
    UffdOutcome outcome = UffdOutcome::done;
    for (std::size_t run = first; run < past;) {  // around what is not in the image
      std::size_t end = run;
      while (end < past && in_image(end)) ++end;
      if (end > run) {
        outcome = filler.copy(run * os::page_size(), &image_[run * os::page_size()],
                              (end - run) * os::page_size());
        if (outcome != UffdOutcome::done) return outcome;
        for (std::size_t i = run; i < end; ++i) {
          unsigned char image = kImage;
          state_[i].compare_exchange_strong(image, kFilled);
        }
      }
      run = end + 1;
    }
    return outcome;
  }
  bool is_filled(std::size_t offset) const noexcept override {
    return state_[offset / os::page_size()] == kFilled;
  }
  void removed(std::size_t offset, std::size_t bytes) noexcept override {
    for (std::size_t i = 0; i < bytes / os::page_size(); ++i)
      state_[offset / os::page_size() + i] = kRemoved;
  }
  PageSource* for_child() noexcept override { return child; }

  void damage(std::size_t page) { state_[page] = kDamaged; }
  const std::byte* page(std::size_t index) const { return &image_[index * os::page_size()]; }
  bool matches(Address page_start, std::size_t index) const {
    return std::memcmp(page_start.as(), page(index), os::page_size()) == 0;
  }

  std::atomic<std::size_t> fills{0};
  bool poisons_itself = false;
  PageSource* child = nullptr;

 private:
  static constexpr unsigned char kImage = 0, kFilled = 1, kRemoved = 2, kDamaged = 3;
  bool in_image(std::size_t i) const { return state_[i] == kImage || state_[i] == kFilled; }

  std::size_t cluster_;
  std::vector<std::byte> image_;
  std::vector<std::atomic<unsigned char>> state_;
};

// Fills when it is told to.
struct HeldSource final : faults::PageSource {
  explicit HeldSource(OracleSource& behind) : oracle(behind) {}
  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override {
    asked.fetch_add(1);
    while (!may_fill.load()) ::sched_yield();
    return oracle.fill(offset, filler);
  }
  bool is_filled(std::size_t offset) const noexcept override { return oracle.is_filled(offset); }
  void removed(std::size_t, std::size_t) noexcept override {}
  OracleSource& oracle;
  std::atomic<int> asked{0};
  std::atomic<bool> may_fill{false};
};

// The simplest synchronous barrier: every page armed once, by hand.
class Watcher final : public faults::WriteFaultHandler {
 public:
  explicit Watcher(Range range) : range_(range), armed_(pages()), dirty_(pages()) {}

  std::size_t pages() const { return range_.size / os::page_size(); }
  void arm(std::size_t first, std::size_t count) {
    const os::FaultGate::Operating gate;
    for (std::size_t i = first; i < first + count; ++i) armed_[i] = true, dirty_[i] = false;
    while (server->protect(page_of(range_, first, count)).outcome == UffdOutcome::again)
      ::sched_yield();
  }
  bool is_dirty(std::size_t page) const { return dirty_[page]; }

  faults::Answer on_write_fault(Address page) noexcept override {
    traps.fetch_add(1);
    const std::size_t index = (page - range_.begin) / os::page_size();
    dirty_[index] = true;
    const UffdResult result = server->unprotect({page, os::page_size()});
    if (result.outcome == UffdOutcome::again) return faults::Answer::retry_later;
    return faults::Answer::resolved;
  }
  UffdOutcome on_fill(Range pages, const faults::FillCause& cause, Fill fill) noexcept override {
    for (Address page = pages.begin; page < pages.end(); page = page + os::page_size()) {
      const std::size_t index = (page - range_.begin) / os::page_size();
      const bool written = cause.write && page == cause.faulting;
      if (written && armed_[index]) dirty_[index] = true;
      const bool arrives_armed = armed_[index] && !dirty_[index];
      const UffdOutcome outcome = fill({page, os::page_size()},
                                       arrives_armed ? CopyMode::write_protected : CopyMode::plain);
      if (outcome != UffdOutcome::done) return outcome;
    }
    return UffdOutcome::done;
  }
  void on_removed(Range) noexcept override {}
  void on_protection_lost(Range) noexcept override {
    losses.fetch_add(1);
    for (auto& dirty : dirty_) dirty = true;
  }

  faults::FaultServer* server = nullptr;
  std::atomic<std::size_t> traps{0};
  std::atomic<std::size_t> losses{0};

 private:
  Range range_;
  std::vector<std::atomic<bool>> armed_, dirty_;
};

inline constexpr Delivery kDeliveries[] = {Delivery::thread, Delivery::sigbus};

// The host's own SIGBUS handler, installed before the first server's: ours passes on to it.
class HostSigbus {
 public:
  static void install() {
    static const bool once = [] { return std::signal(SIGBUS, handle) != SIG_ERR; }();
    REQUIRE(once);
  }
  // True when touching the page raised SIGBUS.
  static bool is_raised_by_reading(Address page) {
    install();
    volatile bool raised = false;
    is_expected = true;
    if (sigsetjmp(back, 1) == 0)
      (void)peek(page);
    else
      raised = true;
    is_expected = false;
    return raised;
  }

 private:
  static void handle(int signal) {
    if (is_expected) ::siglongjmp(back, 1);
    std::signal(signal, SIG_DFL);
    ::raise(signal);
  }
  static inline thread_local volatile bool is_expected = false;
  static inline thread_local sigjmp_buf back;
};

// A server, or nothing and a printed reason.
inline std::unique_ptr<faults::FaultServer> start_or_skip(
    const char* test, Delivery delivery, faults::FaultServer::Options options = {}) {
  HostSigbus::install();
  options.delivery = delivery;
  auto server = faults::FaultServer::start(options);
  if (server) return std::move(*server);
  CHECK_MESSAGE((server.error().code == ErrorCode::unsupported ||
                 server.error().code == ErrorCode::no_permission),
                server.error().message());
  print_skip(test, server.error().message());
  return nullptr;
}

template <class Body>
void for_each_delivery(const char* test, Body body, faults::FaultServer::Options options = {}) {
  for (const Delivery delivery : kDeliveries) {
    CAPTURE(name_of(delivery));
    if (auto server = start_or_skip(test, delivery, options)) body(*server);
  }
}

inline Range map_pages(std::vector<os::Mapping>& keep, std::size_t pages) {
  auto mapping = os::Mapping::anonymous(pages * os::page_size(), os::HugePages::never);
  REQUIRE(mapping);
  keep.push_back(std::move(*mapping));
  return keep.back().range();
}

}  // namespace weir::test
