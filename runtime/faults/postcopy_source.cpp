#include "runtime/faults/postcopy_source.hpp"

#include <algorithm>
#include <cassert>
#include <mutex>
#include <utility>

#include "runtime/os/page_size.hpp"

namespace weir::faults {

Expected<PostcopySource::Tables> PostcopySource::Tables::create(std::size_t pages) {
  auto states = os::OffHeapArray<std::atomic<PageState>>::create(pages);
  if (!states) return Unexpected(states.error());
  auto buffer = os::OffHeapArray<std::byte>::create(kPushPages * os::page_size());
  if (!buffer) return Unexpected(buffer.error());
  return Tables{std::move(*states), std::move(*buffer)};
}

PostcopySource::PostcopySource(PageContents& contents, Tables tables)
    : contents_(contents),
      page_size_(os::page_size()),
      states_(std::move(tables.states)),
      buffer_(std::move(tables.buffer)) {}

PostcopySource::PostcopySource(const PostcopySource& parent, PageContents& contents, Tables tables)
    : PostcopySource(contents, std::move(tables)) {
  for (std::size_t page = 0; page < pages(); ++page) {
    // The thread that follows the fork is the one that sends to this process.
    assert(parent.state(page) != PageState::sending);
    states_[page].store(parent.state(page));
  }
}

// From here on: the fault path [quiet-server].

bool PostcopySource::claim(std::size_t page) noexcept {
  PageState waiting = PageState::waiting;
  return states_[page].compare_exchange_strong(waiting, PageState::sending);
}

// The end of a claim, unless the program has given the page back or unmapped it meanwhile.
void PostcopySource::settle(std::size_t page, PageState now) noexcept {
  PageState sending = PageState::sending;
  if (!states_[page].compare_exchange_strong(sending, now))
    assert(sending == PageState::given_back || sending == PageState::unmapped);
}

UffdOutcome PostcopySource::fill(std::size_t offset, PageFiller& filler) noexcept {
  const std::size_t page = offset / page_size_;
  switch (state(page)) {
    case PageState::waiting:
      return claim(page) ? send(page, 1, SentBy::demand, filler) : UffdOutcome::again;
    case PageState::sending:
      return UffdOutcome::again;
    case PageState::sent:
      late_.fetch_add(1);
      return filler.leave(offset, page_size_);
    case PageState::given_back: {
      const UffdOutcome outcome = filler.zero(offset, page_size_);
      zeros_.fetch_add(filler.count().put);
      return outcome;
    }
    case PageState::unmapped:
      return UffdOutcome::not_found;
    case PageState::damaged:
      break;
  }
  return UffdOutcome::failed;
}

UffdOutcome PostcopySource::push(std::size_t offset, std::size_t bytes,
                                 PageFiller& filler) noexcept {
  const std::size_t begin = offset / page_size_;
  const std::size_t past = (offset + bytes) / page_size_;
  const std::size_t from = push_from_.load();
  for (std::size_t page = std::max(begin, from); page < past; ++page) {
    const std::size_t run = claim_run(page, std::min(past, page + kPushPages));
    if (run == 0) continue;
    if (begin <= from) push_from_.store(page);
    const UffdOutcome outcome = send(page, run, SentBy::push, filler);
    // The damaged page that this may have met is the business of whoever touches it.
    if (outcome != UffdOutcome::failed) return outcome;
  }
  return UffdOutcome::done;
}

// Claims as many pages from `first` on as wait there, one behind the other.
std::size_t PostcopySource::claim_run(std::size_t first, std::size_t past) noexcept {
  std::size_t page = first;
  while (page < past && claim(page)) ++page;
  return page - first;
}

// Reads claimed pages into the buffer, up to the first damaged one.
std::size_t PostcopySource::read_run(std::size_t first, std::size_t pages) noexcept {
  for (std::size_t i = 0; i < pages; ++i) {
    if (contents_.read((first + i) * page_size_,
                       buffer_.span().subspan(i * page_size_, page_size_)))
      continue;
    settle(first + i, PageState::damaged);
    for (std::size_t rest = i + 1; rest < pages; ++rest) settle(first + rest, PageState::waiting);
    return i;
  }
  return pages;
}

// Sends claimed pages. However it ends, none of them stays claimed.
UffdOutcome PostcopySource::send(std::size_t first, std::size_t pages, SentBy by,
                                 PageFiller& filler) noexcept {
  const std::lock_guard one_at_a_time(buffer_lock_);
  const std::size_t readable = read_run(first, pages);
  if (readable == 0) return UffdOutcome::failed;
  const UffdOutcome outcome =
      filler.copy(first * page_size_, buffer_.data(), readable * page_size_);
  const FillCount& count = filler.count();
  (by == SentBy::demand ? demanded_ : pushed_).fetch_add(count.put);
  repeated_.fetch_add(count.found);
  if (count.all() != 0) on_sent(first, count.all());
  for (std::size_t i = 0; i < readable; ++i)
    settle(first + i, i < count.all() ? PageState::sent : PageState::waiting);
  return outcome;
}

bool PostcopySource::is_filled(std::size_t offset) const noexcept {
  return state(offset / page_size_) == PageState::sent;
}

void PostcopySource::removed(std::size_t offset, std::size_t bytes) noexcept {
  set(offset, bytes, PageState::given_back);
}

void PostcopySource::unmapped(std::size_t offset, std::size_t bytes) noexcept {
  set(offset, bytes, PageState::unmapped);
}

void PostcopySource::set(std::size_t offset, std::size_t bytes, PageState now) noexcept {
  for (std::size_t at = offset; at < offset + bytes; at += page_size_)
    states_[at / page_size_].store(now);
}

PostcopySource::Counters PostcopySource::counters() const {
  return {demanded_.load(), pushed_.load(), repeated_.load(), zeros_.load(), late_.load()};
}

}  // namespace weir::faults
