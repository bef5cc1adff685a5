// A process as the manager sees it: where its pages come from, which of them it has, and what it
// has said of itself. Clients, and the children that they fork.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gc_demo/manager/content.hpp"
#include "gc_demo/manager/protocol.hpp"
#include "runtime/faults/postcopy_source.hpp"

namespace weir::manager {

enum class Life { running, waiting, done, killed, lost };
const char* name_of(Life life);

class Served;

// All processes that are or were served. The handler thread adds the children.
class Household {
 public:
  Served* add(std::unique_ptr<Served> process);
  std::vector<Served*> all() const;  // a client, then its children, then the next

 private:
  mutable std::mutex lock_;
  std::vector<std::unique_ptr<Served>> processes_;
};

class Served final : public faults::PostcopySource {
 public:
  static Expected<std::unique_ptr<Served>> create(Household& household, Content content,
                                                  std::size_t pages);

  // Where its pages are, in pages.
  struct Tally {
    std::size_t to_come = 0, sent = 0, given_back = 0, unmapped = 0, damaged = 0;
  };
  Tally tally() const;
  std::size_t times_sent(std::size_t page) const { return times_sent_[page].load(); }
  std::size_t inherited() const { return inherited_; }  // sent to the parent before the fork
  bool has_departed() const { return departed_.load(); }
  std::size_t client() const { return contents_.content().client; }
  const Served* parent() const { return parent_; }
  std::string name() const;

  // What it says of itself; the main thread's.
  Life life = Life::running;
  pid_t process = -1;
  std::size_t checked = 0;    // pages that it compared at its end
  std::size_t wrong = 0;      // comparisons that failed
  std::size_t gave_back = 0;  // pages
  std::size_t did_unmap = 0;  // pages

  PageSource* for_child() noexcept override;
  void departed() noexcept override { departed_.store(true); }

 private:
  Served(Household& household, Content content, Tables tables,
         os::OffHeapArray<std::atomic<std::uint8_t>> times_sent);
  Served(const Served& parent, Tables tables,
         os::OffHeapArray<std::atomic<std::uint8_t>> times_sent);
  void on_sent(std::size_t first_page, std::size_t pages) noexcept override;

  Household& household_;
  ContentPages contents_;
  const Served* const parent_ = nullptr;
  os::OffHeapArray<std::atomic<std::uint8_t>> times_sent_;
  std::size_t inherited_ = 0;
  std::atomic<bool> departed_{false};
};

}  // namespace weir::manager
