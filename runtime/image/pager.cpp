#include "runtime/image/pager.hpp"

#include <algorithm>

#include "runtime/os/futex.hpp"
#include "runtime/os/last_words.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/text_buffer.hpp"

namespace weir::image {
namespace {

thread_local bool is_ahead = false;

}  // namespace

Pager::Ahead::Ahead() {
  is_ahead = true;
}
Pager::Ahead::~Ahead() {
  is_ahead = false;
}

Expected<std::unique_ptr<Pager>> Pager::create(const ImageFile& file, Conversion conversion,
                                               unsigned at_once) {
  std::unique_ptr<Pager> pager(new Pager(file, std::move(conversion)));
  if (auto done = pager->set_up(at_once); !done) return Unexpected(done.error());
  return pager;
}

Expected<> Pager::set_up(unsigned at_once) {
  const std::size_t clusters = file_.clusters();
  auto states = os::OffHeapArray<std::atomic<std::uint32_t>>::create(clusters);
  if (!states) return Unexpected(states.error());
  auto pages = os::OffHeapArray<std::atomic<std::uint8_t>>::create(clusters * size_.bytes() /
                                                                   os::page_size());
  if (!pages) return Unexpected(pages.error());
  auto order = os::OffHeapArray<std::atomic<std::uint32_t>>::create(clusters);
  if (!order) return Unexpected(order.error());
  states_ = std::move(*states);
  pages_ = std::move(*pages);
  order_ = std::move(*order);

  workplaces_ = std::make_unique<Workplace[]>(at_once);
  workplace_count_ = at_once;
  for (unsigned i = 0; i < at_once; ++i) {
    auto reader = ClusterReader::create(file_);
    if (!reader) return Unexpected(reader.error());
    workplaces_[i].reader = std::move(*reader);
  }
  return {};
}

PagerCounters Pager::counters() const {
  return {.filled = filled_.load(), .damaged = damaged_.load(), .read_bytes = read_bytes_.load()};
}

std::span<const std::atomic<std::uint32_t>> Pager::order() const {
  return order_.span().first(std::min(ordered_.load(), order_.size()));
}

std::atomic<std::uint8_t>& Pager::page(std::size_t cluster, std::size_t offset) {
  return pages_[(cluster * size_.bytes() + offset) / os::page_size()];
}
const std::atomic<std::uint8_t>& Pager::page(std::size_t cluster, std::size_t offset) const {
  return pages_[(cluster * size_.bytes() + offset) / os::page_size()];
}

// From here on: the fault path [quiet-server].

// A workplace to oneself. All are taken: one is free soon, since whoever has one waits for nobody.
class Pager::Desk {
 public:
  explicit Desk(Pager& pager) : pager_(pager) {
    for (;;) {
      const std::uint32_t left = pager_.left_.load();
      for (unsigned i = 0; i < pager_.workplace_count_; ++i) {
        place_ = &pager_.workplaces_[i];
        if (place_->busy.exchange(1) == 0) return;
      }
      os::futex_wait(pager_.left_, left);
    }
  }
  ~Desk() {
    place_->busy.store(0);
    pager_.left_.fetch_add(1);
    os::futex_wake_all(pager_.left_);
  }
  Desk(const Desk&) = delete;
  Desk& operator=(const Desk&) = delete;
  Workplace& place() const { return *place_; }

 private:
  Pager& pager_;
  Workplace* place_ = nullptr;
};

ClusterState Pager::settled_state(std::size_t cluster) const noexcept {
  while (states_[cluster].load() == kFilling) os::futex_wait(states_[cluster], kFilling);
  return state(cluster);
}

void Pager::settle(std::size_t cluster, std::uint32_t state) noexcept {
  states_[cluster].store(state);
  os::futex_wake_all(states_[cluster]);
}

bool Pager::is_there(std::size_t cluster, std::size_t offset) const noexcept {
  return states_[cluster].load() == kFilled && page(cluster, offset).load() != kGone;
}

bool Pager::has_removed(std::size_t cluster) const noexcept {
  for (std::size_t at = 0; at < size_.bytes(); at += os::page_size())
    if (page(cluster, at).load() != kInImage) return true;
  return false;
}

void Pager::removed(std::size_t cluster, std::size_t offset, std::size_t bytes) noexcept {
  for (std::size_t at = offset; at < offset + bytes; at += os::page_size())
    page(cluster, at).store(kGone);
}

UffdOutcome Pager::fill(const Target& target, faults::PageFiller& filler) noexcept {
  const std::uint32_t back = file_.entry(target.cluster).continues;
  if (back != 0 && states_[target.cluster].load() == kLazy &&
      states_[target.cluster - back].load() != kFilled) {
    const std::size_t bytes = back * size_.bytes();
    const UffdOutcome outcome = fill({target.cluster - back, target.offset - bytes,
                                      target.metadata - bytes / heap::kGranuleBytes, 0},
                                     filler);
    if (outcome != UffdOutcome::done) return outcome;
  }
  for (;;) {
    std::uint32_t state = states_[target.cluster].load();
    if (state == kLazy || state == kPartly) {
      if (states_[target.cluster].compare_exchange_strong(state, kFilling))
        return fill_claimed(target, filler, state);
      continue;
    }
    if (state == kDamaged) return filler.poison(target.offset, size_.bytes());
    if (state == kFilled) break;
    (void)settled_state(target.cluster);
  }
  // The page is there by now, and stays as it is; or the program gave it back, told or not.
  const std::size_t put = filler.count().put;
  const UffdOutcome outcome = filler.zero(target.offset + target.missed, os::page_size());
  std::uint8_t gone = kGone;
  if (filler.count().put != put)
    page(target.cluster, target.missed).store(kZeros);
  else if (outcome == UffdOutcome::done)
    page(target.cluster, target.missed).compare_exchange_strong(gone, kZeros);
  return outcome;
}

UffdOutcome Pager::fill_claimed(const Target& target, faults::PageFiller& filler,
                                std::uint32_t before) noexcept {
  const ClusterEntry& entry = file_.entry(target.cluster);
  const std::size_t there = filler.count().all();
  // Before the pages: who waits for them goes on at once, and may ask.
  filled_.fetch_add(1);
  if (!is_ahead) record(target.cluster);
  UffdOutcome outcome = UffdOutcome::done;
  if (!os::populate_for_writing(
          {Address(target.metadata), size_.granules() + (entry.last_kind != 0 ? 1 : 0)})) {
    outcome = UffdOutcome::no_memory;
  } else if (entry.is_absent()) {
    *target.metadata = heap::MetadataByte::free_start().value();
    outcome = filler.zero(target.offset, size_.bytes());
  } else if (entry.continues != 0 &&
             settled_state(target.cluster - entry.continues) != ClusterState::filled) {
    return give_up(target, filler);  // nobody can tell what lies here
  } else {
    const Desk desk(*this);
    const auto decoded = desk.place().reader.read(file_, target.cluster, conversion_);
    if (!decoded) return give_up(target, filler);
    read_bytes_.fetch_add(entry.stored);
    put_metadata(target, *decoded, entry);
    outcome = put(target, decoded->objects().data(), filler);
  }
  if (outcome != UffdOutcome::done) {
    filled_.fetch_sub(1);
    settle(target.cluster, filler.count().all() != there ? kPartly : before);
    return outcome;
  }
  settle(target.cluster, kFilled);
  return outcome;
}

// The number of the kind of an object that starts in the last granule is put there with that. So
// where an object reaches into a cluster, the first byte is there already.
void Pager::put_metadata(const Target& target, const Cluster& from,
                         const ClusterEntry& entry) noexcept {
  const std::size_t first = entry.continues != 0 ? 1 : 0;
  std::memcpy(target.metadata + first, from.metadata() + first, size_.granules() - first);
  if (entry.last_kind != 0)
    target.metadata[size_.granules()] = conversion_.kinds.kinds[entry.last_kind].number;
}

// Runs of pages that the program gave back meanwhile are zeros.
UffdOutcome Pager::put(const Target& target, const std::byte* objects,
                       faults::PageFiller& filler) noexcept {
  const std::size_t step = os::page_size();
  const auto is_in_image = [&](std::size_t at) {
    return page(target.cluster, at).load() == kInImage;
  };
  for (std::size_t at = 0; at < size_.bytes();) {
    const bool in_image = is_in_image(at);
    std::size_t end = at + step;
    while (end < size_.bytes() && is_in_image(end) == in_image) end += step;
    const UffdOutcome outcome = in_image ? filler.copy(target.offset + at, objects + at, end - at)
                                         : filler.zero(target.offset + at, end - at);
    if (outcome != UffdOutcome::done) return outcome;
    if (!in_image)
      for (std::size_t zero = at; zero < end; zero += step)
        page(target.cluster, zero).store(kZeros);
    at = end;
  }
  return UffdOutcome::done;
}

UffdOutcome Pager::give_up(const Target& target, faults::PageFiller& filler) noexcept {
  // The sentence first: whoever waits goes on to his SIGBUS with the poison.
  tell_damaged(target.cluster);
  filled_.fetch_sub(1);
  damaged_.fetch_add(1);
  const UffdOutcome outcome = filler.poison(target.offset, size_.bytes());
  settle(target.cluster, kDamaged);
  return outcome;
}

// A cluster that has to be tried again may be there twice.
void Pager::record(std::size_t cluster) noexcept {
  const std::size_t at = ordered_.fetch_add(1);
  if (at < order_.size()) order_[at].store(static_cast<std::uint32_t>(cluster));
}

void Pager::tell_damaged(std::size_t cluster) noexcept {
  char memory[400];
  os::TextBuffer line(memory);
  line.add("heap image ").add(file_.path()).add(": cluster ").add_number(cluster);
  line.add(" at offset ").add_number(file_.entry(cluster).offset);
  line.add(" is damaged; whoever touches it gets SIGBUS (`weir image verify` finds all)");
  os::say(line.view());
}

}  // namespace weir::image
