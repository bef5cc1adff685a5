#include "gc_demo/manager/served.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "runtime/os/last_words.hpp"

namespace weir::manager {

const char* name_of(Life life) {
  switch (life) {
    case Life::running:
      return "running";
    case Life::waiting:
      return "waiting";
    case Life::done:
      return "done";
    case Life::killed:
      return "killed";
    case Life::lost:
      return "LOST";
  }
  return "";
}

Served* Household::add(std::unique_ptr<Served> process) {
  const std::lock_guard guard(lock_);
  processes_.push_back(std::move(process));
  return processes_.back().get();
}

std::vector<Served*> Household::all() const {
  std::vector<Served*> all;
  {
    const std::lock_guard guard(lock_);
    for (const auto& process : processes_) all.push_back(process.get());
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Served* a, const Served* b) { return a->client() < b->client(); });
  return all;
}

Expected<std::unique_ptr<Served>> Served::create(Household& household, Content content,
                                                 std::size_t pages) {
  auto tables = Tables::create(pages);
  if (!tables) return Unexpected(tables.error());
  auto times_sent = os::OffHeapArray<std::atomic<std::uint8_t>>::create(pages);
  if (!times_sent) return Unexpected(times_sent.error());
  return std::unique_ptr<Served>(
      new Served(household, content, std::move(*tables), std::move(*times_sent)));
}

Served::Served(Household& household, Content content, Tables tables,
               os::OffHeapArray<std::atomic<std::uint8_t>> times_sent)
    : PostcopySource(contents_, std::move(tables)),
      household_(household),
      contents_(content),
      times_sent_(std::move(times_sent)) {}

Served::Served(const Served& parent, Tables tables,
               os::OffHeapArray<std::atomic<std::uint8_t>> times_sent)
    : PostcopySource(parent, contents_, std::move(tables)),
      household_(parent.household_),
      contents_(parent.contents_.content()),
      parent_(&parent),
      times_sent_(std::move(times_sent)),
      inherited_(tally().sent) {}

std::string Served::name() const {
  return parent_ == nullptr ? fmt::format("client {}", client()) : "  its child";
}

// Called while the parent sleeps in fork(2), until it has been told of.
faults::PageSource* Served::for_child() noexcept {
  auto tables = Tables::create(pages());
  auto times_sent = os::OffHeapArray<std::atomic<std::uint8_t>>::create(pages());
  std::unique_ptr<Served> child;
  if (tables && times_sent)
    child.reset(new (std::nothrow) Served(*this, std::move(*tables), std::move(*times_sent)));
  if (child == nullptr)
    os::last_words("no memory to serve the child of a client; it would read zeros");
  return household_.add(std::move(child));
}

void Served::on_sent(std::size_t first_page, std::size_t pages) noexcept {
  for (std::size_t page = first_page; page < first_page + pages; ++page)
    times_sent_[page].fetch_add(1);
}

Served::Tally Served::tally() const {
  Tally tally;
  for (std::size_t page = 0; page < pages(); ++page) {
    switch (state(page)) {
      case faults::PageState::waiting:
      case faults::PageState::sending:
        ++tally.to_come;
        break;
      case faults::PageState::sent:
        ++tally.sent;
        break;
      case faults::PageState::given_back:
        ++tally.given_back;
        break;
      case faults::PageState::unmapped:
        ++tally.unmapped;
        break;
      case faults::PageState::damaged:
        ++tally.damaged;
        break;
    }
  }
  return tally;
}

}  // namespace weir::manager
