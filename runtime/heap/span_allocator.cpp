#include "runtime/heap/span_allocator.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/os/mapping.hpp"

namespace weir::heap {
namespace {

constexpr std::size_t kPiece = 4096;           // zeroed ahead of the bump pointer
constexpr std::size_t kPristinePiece = 16384;  // had from the system ahead of it
constexpr std::size_t kCacheLine = 64;

}  // namespace

void SpanAllocator::set_span(Address bump) {
  span_->bump = bump.as<char>();
  span_->limit = one_at_a_time_ ? span_->bump : zeroed_.as<char>();
}

void SpanAllocator::begin_run(Range run) {
  run_ = run;
  Block& block = space_->region().block(*block_);
  is_pristine_ = std::exchange(block.pristine, false);
  if (is_pristine_)
    space_->metadata().store(run.begin, MetadataByte(0));
  else
    space_->metadata().clear(run);
  zeroed_ = run.begin;
  counted_ = run.begin;
  set_span(run.begin);
}

void SpanAllocator::count() {
  allocated_ += bump() - counted_;
  counted_ = bump();
}

void SpanAllocator::mark_end() {
  if (run_.empty()) return;
  count();
  if (bump() < run_.end()) space_->metadata().store(bump(), MetadataByte::free_start());
}

void SpanAllocator::end_run() {
  mark_end();
  run_ = {};
  zeroed_ = counted_ = Address();
  set_span(Address());
}

void SpanAllocator::retire() {
  end_run();
  if (block_) space_->region().block(*block_).become(BlockState::filled);
  block_.reset();
}

std::optional<SpanAllocator::Held> SpanAllocator::hold() {
  if (run_.empty()) return std::nullopt;
  mark_end();
  const Metadata& metadata = space_->metadata();
  Address last;
  if (bump() > run_.begin) last = metadata.start_at_or_before(bump() - kGranuleBytes, run_.begin);
  if (last == Address()) {
    // Nothing is visible there yet; what may become so begins where the run does.
    metadata.store(run_.begin, MetadataByte::free_start());
    return Held{*block_, run_, Address()};
  }
  return Held{*block_, Range::between(last, run_.end()),
              metadata.load(last).is_object() ? last : Address()};
}

void SpanAllocator::abandon() {
  (void)hold();
  retire();
}

bool SpanAllocator::has_room(std::size_t bytes, std::size_t alignment) const {
  return !run_.empty() && bump().align_up(alignment) + bytes <= run_.end();
}

tl::expected<void, Refusal> SpanAllocator::next_run(std::size_t bytes, bool whatever_the_budget) {
  const std::size_t wanted = std::max(bytes, kSmallestHole);
  const Metadata& metadata = space_->metadata();
  if (block_) {
    const Range run =
        next_free_run(metadata, run_.end(), space_->region().range_of(*block_).end(), wanted);
    if (!run.empty()) {
      end_run();
      begin_run(run);
      return {};
    }
  }
  const auto block = space_->take_block(leaf_, wanted, whatever_the_budget);
  if (!block) return tl::unexpected(block.error());  // what is left of the run stays
  if (block_) {
    end_run();
    space_->release_block(*block_);
  }
  block_ = *block;
  const Range whole = space_->region().range_of(*block);
  const bool is_empty = space_->region().block(*block).longest_run == kBlockGranules;
  begin_run(is_empty ? whole : next_free_run(metadata, whole.begin, whole.end(), wanted));
  return {};
}

void SpanAllocator::zero_up_to(Address end) {
  const std::size_t piece = is_pristine_ ? kPristinePiece : kPiece;
  const Range zeros = Range::between(zeroed_, std::min(std::max(end, zeroed_ + piece), run_.end()));
  zeroed_ = zeros.end();
  if (is_pristine_) {
    if (space_->asks_ahead()) (void)os::populate_for_writing(zeros);
    return;
  }
  std::memset(zeros.begin.as(), 0, zeros.size);
  // The next piece: its lines arrive while this one is used.
  const Address next_end = std::min(zeroed_ + kPiece, run_.end());
  for (Address line = zeroed_; line < next_end; line = line + kCacheLine)
    __builtin_prefetch(line.as(), 1);
}

Address SpanAllocator::place(Address start, std::size_t bytes, KindTag kind) {
  const Metadata& metadata = space_->metadata();
  const Address end = start + bytes;
  if (end > zeroed_) zero_up_to(end);
  if (start > bump()) metadata.store(bump(), MetadataByte::free_start());
  metadata.store(start, kind.start_byte());
  if (kind.number() != 0) metadata.store(start + kGranuleBytes, MetadataByte(kind.number()));
  set_span(end);
  return start;
}

bool SpanAllocator::take_back(Address object) {
  const Range taken = Range::between(object, std::max(object, bump()));
  if (!run_.contains(object) || taken.empty()) return false;
  const Metadata& metadata = space_->metadata();
  if (metadata.next_start(object, taken.end()) != taken.end()) return false;
  count();
  counted_ = object;
  std::memset(object.as(), 0, taken.size);
  metadata.clear(taken);
  // What mark_end() put behind it would be inside a larger object.
  if (taken.end() < run_.end()) metadata.store(taken.end(), MetadataByte(0));
  set_span(object);
  return true;
}

tl::expected<Address, Refusal> SpanAllocator::allocate(std::size_t bytes, std::size_t alignment,
                                                       KindTag kind, bool whatever_the_budget) {
  if (!has_room(bytes, alignment)) {
    const std::size_t padding = alignment > kGranuleBytes ? alignment - kGranuleBytes : 0;
    if (auto found = next_run(bytes + padding, whatever_the_budget); !found)
      return tl::unexpected(found.error());
  }
  return place(bump().align_up(alignment), bytes, kind);
}

}  // namespace weir::heap
