// What no collector can beat: a pointer that is bumped, and memory that is never looked at again. A
// repetition after the first begins where the first did, in memory that is there already.
#pragma once

#include <atomic>
#include <cstring>
#include <new>

namespace weir::programs {

inline constexpr char kSystem[] = "limit";
inline constexpr bool kFrees = false;

class Heap {
 public:
  explicit Heap(const HeapSetup& setup);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // No mutator may be within a piece, but the one that repeats itself: it takes a new one.
  void begin_repetition();
  Collections collections() const { return {}; }
  Utilisation& utilisation() { return utilisation_; }
  // Any thread.
  char* take(std::size_t bytes);
  bool is_fresh(const char* memory) const { return memory >= touched_; }

 private:
  char* reserved_;
  char* begin_;
  char* end_;
  char* touched_;  // below it, memory is not zero any more
  std::atomic<char*> next_;
  Utilisation utilisation_;
};

class Mutator : public MutatorClock {
 public:
  explicit Mutator(Heap& heap) : heap_(heap) {}
  Mutator(const Mutator&) = delete;
  Mutator& operator=(const Mutator&) = delete;

  Heap& heap() const { return heap_; }
  void begin_repetition() {
    bump_ = limit_ = nullptr;
    MutatorClock::begin_repetition();
  }
  void end_repetition() { pulse_.end(heap_.utilisation()); }

  template <class T>
  T* make() {
    static_assert(T::kReferences != 0);
    return new (allocate(sizeof(T))) T{};
  }
  template <class T>
  T* make_array(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    char* memory = allocate(bytes);
    if (!heap_.is_fresh(memory)) std::memset(memory, 0, bytes);
    return reinterpret_cast<T*>(memory);
  }
  char* make_bytes(std::size_t bytes) { return allocate(bytes); }
  template <class T>
  void store(void*, T** slot, T* value) {
    *slot = value;
  }
  void release(void*) {}
  void safepoint() {}
  template <class Work>
  void without_heap(const Work& work) {
    work();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 20;

  char* allocate(std::size_t bytes) {
    pulse_.beat();
    bytes = (bytes + 15) & ~std::size_t{15};
    if (bytes > static_cast<std::size_t>(limit_ - bump_)) return allocate_slow(bytes);
    char* object = bump_;
    bump_ += bytes;
    return object;
  }
  [[gnu::noinline]] char* allocate_slow(std::size_t bytes) {
    if (bytes > kPiece / 4) return heap_.take(bytes);
    char* object = heap_.take(kPiece);
    limit_ = object + kPiece;
    bump_ = object + bytes;
    return object;
  }

  char* bump_ = nullptr;
  char* limit_ = nullptr;
  Heap& heap_;
};

}  // namespace weir::programs
