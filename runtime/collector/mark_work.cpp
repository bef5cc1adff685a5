#include "runtime/collector/mark_work.hpp"

#include <algorithm>

#include "runtime/os/last_words.hpp"

namespace weir::collector {

MarkPool::~MarkPool() {
  while (full_ != nullptr) {
    MarkPacket* packet = full_;
    full_ = packet->next;
    os::off_heap_free(packet, sizeof(MarkPacket));
  }
  while (empty_ != nullptr) {
    MarkPacket* packet = empty_;
    empty_ = packet->next;
    os::off_heap_free(packet, sizeof(MarkPacket));
  }
}

MarkPacket* MarkPool::get_empty() {
  {
    const std::lock_guard guard(lock_);
    if (MarkPacket* packet = empty_) {
      empty_ = packet->next;
      packet->count = 0;
      return packet;
    }
  }
  void* memory = os::off_heap_allocate(sizeof(MarkPacket));
  if (memory == nullptr) os::last_words("no memory for the mark stack");
  return static_cast<MarkPacket*>(memory);
}

void MarkPool::put_empty(MarkPacket* packet) {
  const std::lock_guard guard(lock_);
  packet->next = empty_;
  empty_ = packet;
}

void MarkPool::put_full(MarkPacket* packet) {
  const std::lock_guard guard(lock_);
  packet->next = full_;
  full_ = packet;
  if (waiting_.load(std::memory_order_relaxed) != 0) changed_.notify_one();
}

MarkPacket* MarkPool::take_full(unsigned markers) {
  std::unique_lock guard(lock_);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  while (full_ == nullptr && !done_) {
    if (waiting_.load(std::memory_order_relaxed) == markers) {
      done_ = true;
      changed_.notify_all();
      break;
    }
    changed_.wait(guard);
  }
  waiting_.fetch_sub(1, std::memory_order_relaxed);
  MarkPacket* packet = done_ ? nullptr : full_;
  if (packet != nullptr) full_ = packet->next;
  return packet;
}

void MarkPool::restart() {
  const std::lock_guard guard(lock_);
  done_ = false;
}

void MarkStack::take(MarkPacket* packet) {
  packet_ = packet;
  bottom_ = packet->words;
  top_ = bottom_ + packet->count;
  full_ = bottom_ + MarkPacket::kWords - 1;
}

void MarkStack::spill() {
  packet_->count = count();
  pool_->put_full(packet_);
  take(pool_->get_empty());
}

void MarkStack::flush() {
  if (!is_empty()) spill();
}

bool MarkStack::refill(unsigned markers) {
  MarkPacket* packet = pool_->take_full(markers);
  if (packet == nullptr) return false;
  pool_->put_empty(packet_);
  take(packet);
  return true;
}

void MarkStack::give_half() {
  constexpr std::size_t kWorthSharing = 16;  // words
  if (count() < kWorthSharing) return;
  MarkPacket* given = pool_->get_empty();
  // The older half, which tends to lead to more. The cut must not be inside a pair, whose upper
  // word has the tag.
  std::size_t cut = count() / 2;
  if (MarkWord::tag(bottom_[cut]) != MarkWord::found) ++cut;
  std::copy(bottom_, bottom_ + cut, given->words);
  top_ = std::copy(bottom_ + cut, top_, bottom_);
  given->count = cut;
  pool_->put_full(given);
}

}  // namespace weir::collector
