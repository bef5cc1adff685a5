#include "gc_demo/cracauer/compressed_source.hpp"

#include <mutex>
#include <utility>

#include "runtime/os/last_words.hpp"

namespace weir::cracauer {

Expected<std::unique_ptr<CompressedSource>> CompressedSource::create(const BackingFile& file,
                                                                     image::Codec codec,
                                                                     Range region, EventLog& log) {
  std::unique_ptr<CompressedSource> self(new CompressedSource(file, region, log));
  auto decoder = image::Decoder::create(codec);
  if (!decoder) return Unexpected(decoder.error());
  auto states = os::OffHeapArray<std::atomic<PageState>>::create(file.pages());
  if (!states) return Unexpected(states.error());
  auto encoded = os::OffHeapArray<std::byte>::create(file.largest());
  if (!encoded) return Unexpected(encoded.error());
  auto decoded = os::OffHeapArray<std::byte>::create(self->page_size_);
  if (!decoded) return Unexpected(decoded.error());

  self->decoder_ = std::move(*decoder);
  self->states_ = std::move(*states);
  self->encoded_ = std::move(*encoded);
  self->decoded_ = std::move(*decoded);
  return self;
}

// From here on: the fault path [quiet-server].

UffdOutcome CompressedSource::fill(std::size_t offset, faults::PageFiller& filler) noexcept {
  const std::lock_guard one_at_a_time(busy_);
  std::atomic<PageState>& state = state_of(offset);
  if (state.load() == PageState::given_back) return filler.zero(offset, page_size_);

  const auto stored = file_.read(offset / page_size_, encoded_.span());
  if (!stored || !decoder_->decode(*stored, decoded_.span())) {
    os::say("a page on disk is damaged or cannot be read; whoever touches it gets SIGBUS",
            region_.begin + offset);
    return UffdOutcome::failed;
  }
  inflated_.fetch_add(1);  // before the copy: the thread that waits goes on at once after it
  log_.add({.step = Step::inflated,
            .write = filler.for_write(),
            .pages = {region_.begin + offset, page_size_},
            .bytes = stored->size()});
  const UffdOutcome outcome = filler.copy(offset, decoded_.data(), page_size_);
  if (outcome == UffdOutcome::done) state.store(PageState::filled);
  return outcome;
}

bool CompressedSource::is_filled(std::size_t offset) const noexcept {
  return states_[offset / page_size_].load() == PageState::filled;
}

void CompressedSource::removed(std::size_t offset, std::size_t bytes) noexcept {
  for (std::size_t at = offset; at < offset + bytes; at += page_size_)
    state_of(at).store(PageState::given_back);
}

}  // namespace weir::cracauer
