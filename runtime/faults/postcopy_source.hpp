// A page source that brings each of its pages once, by demand or ahead of it, and knows of each
// where it is: postcopy, as virtual machines are moved.
//
//                    claim                  COPY
//        waiting -----------> sending ----------------> sent
//           |  ^------ EAGAIN ----'                       |
//           |                                             |
//           '-------- MADV_DONTNEED, MADV_REMOVE ---------+--> given_back   zeros, on demand only
//           '-------- munmap -----------------------------'--> unmapped
//
// Who wants to send a page has to claim it, by one compare-and-swap. A fault whose page is on its
// way is asked for again; one whose page is there came late, and is only woken. So the program's
// removals must reach removed(): by UffdFeature::event_remove, or by whoever calls madvise(2).
#pragma once

#include <atomic>
#include <cstddef>
#include <span>

#include "runtime/faults/page_source.hpp"
#include "runtime/os/off_heap.hpp"
#include "runtime/os/shared_lock.hpp"

namespace weir::faults {

class PageContents {
 public:
  virtual ~PageContents() = default;
  // Writes the page at `offset` to `page`; false: it is damaged, or cannot be read. On the fault
  // path [quiet-server], from one thread at a time.
  virtual bool read(std::size_t offset, std::span<std::byte> page) noexcept = 0;
};

enum class PageState : unsigned char { waiting, sending, sent, given_back, unmapped, damaged };
enum class SentBy { demand, push };

class PostcopySource : public PageSource {
 public:
  struct Tables {
    os::OffHeapArray<std::atomic<PageState>> states;  // zeros: waiting
    os::OffHeapArray<std::byte> buffer;
    static Expected<Tables> create(std::size_t pages);
  };
  // `contents` outlives it.
  PostcopySource(PageContents& contents, Tables tables);
  // For the child of a fork(2): what was sent to the parent by now is there, and no more.
  // `contents` as the parent's.
  PostcopySource(const PostcopySource& parent, PageContents& contents, Tables tables);

  UffdOutcome fill(std::size_t offset, PageFiller& filler) noexcept override;
  UffdOutcome push(std::size_t offset, std::size_t bytes, PageFiller& filler) noexcept override;
  bool is_filled(std::size_t offset) const noexcept override;
  void removed(std::size_t offset, std::size_t bytes) noexcept override;
  void unmapped(std::size_t offset, std::size_t bytes) noexcept override;
  PageSource* for_child() noexcept override = 0;

  std::size_t pages() const { return states_.size(); }
  PageState state(std::size_t page) const { return states_[page].load(); }

  // From any thread. A page is counted after it is there, and before its state says so.
  struct Counters {
    std::size_t demanded = 0;  // pages that were sent because of a fault
    std::size_t pushed = 0;    // pages that were sent ahead of one
    std::size_t repeated = 0;  // of both, those that the kernel found there already: always 0
    std::size_t zeros = 0;     // pages of zeros for what had been given back
    std::size_t late = 0;      // faults whose page was there by the time they were read
  };
  Counters counters() const;

 protected:
  // Pages that the kernel has just been given. On the fault path [quiet-server].
  virtual void on_sent(std::size_t first_page, std::size_t pages) noexcept = 0;

 private:
  static constexpr std::size_t kPushPages = 16;

  bool claim(std::size_t page) noexcept;
  void settle(std::size_t page, PageState now) noexcept;
  UffdOutcome send(std::size_t first, std::size_t pages, SentBy by, PageFiller& filler) noexcept;
  std::size_t read_run(std::size_t first, std::size_t pages) noexcept;
  std::size_t claim_run(std::size_t first, std::size_t past) noexcept;
  void set(std::size_t offset, std::size_t bytes, PageState now) noexcept;

  PageContents& contents_;
  const std::size_t page_size_;
  os::OffHeapArray<std::atomic<PageState>> states_;
  std::atomic<std::size_t> push_from_{0};  // no page before it waits

  os::SharedLock buffer_lock_;
  os::OffHeapArray<std::byte> buffer_;

  std::atomic<std::size_t> demanded_{0};
  std::atomic<std::size_t> pushed_{0};
  std::atomic<std::size_t> repeated_{0};
  std::atomic<std::size_t> zeros_{0};
  std::atomic<std::size_t> late_{0};
};

}  // namespace weir::faults
