// Weir by its C API: precise objects, conservative stacks, the barrier of WEIR_BARRIER.
#pragma once

#include <weir/weir.h>

#include <type_traits>

namespace weir::programs {

inline constexpr char kSystem[] = "weir";
inline constexpr bool kFrees = false;

[[noreturn]] void give_up();  // with Weir's own message

// What a type needs: enters itself into a list before main, defined with the heap.
struct KindEntry {
  KindEntry(std::uint64_t reference_bits, std::size_t words);

  std::uint64_t references;
  std::size_t words;
  weir_kind kind = 0;
  KindEntry* next;
};
template <class T>
inline KindEntry kind_entry{T::kReferences, sizeof(T) / sizeof(void*)};

template <class T>
weir_kind kind_of() {
  constexpr std::size_t kWords = sizeof(T) / sizeof(void*);
  static_assert(sizeof(T) % sizeof(void*) == 0 && kWords <= 64);
  constexpr std::uint64_t kEvery = ~std::uint64_t{0} >> (64 - kWords);
  static_assert(T::kReferences != 0);
  if constexpr ((T::kReferences & kEvery) == kEvery)
    return WEIR_KIND_SLOTS;
  else
    return kind_entry<T>.kind;
}

class Heap {
 public:
  explicit Heap(const HeapSetup& setup);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  void begin_repetition() { utilisation_.forget(); }
  Collections collections() const;
  Utilisation& utilisation() { return utilisation_; }
  weir_heap* get() const { return heap_; }

 private:
  weir_heap* heap_ = nullptr;
  Utilisation utilisation_;
};

class Mutator : public MutatorClock {
 public:
  explicit Mutator(Heap& heap);
  ~Mutator();
  Mutator(const Mutator&) = delete;
  Mutator& operator=(const Mutator&) = delete;

  Heap& heap() const { return heap_; }
  void end_repetition() { pulse_.end(heap_.utilisation()); }

  template <class T>
  T* make() {
    return static_cast<T*>(allocate(kind_of<T>(), sizeof(T)));
  }
  template <class T>
  T* make_array(std::size_t count) {
    constexpr weir_kind kKind = std::is_pointer_v<T> ? WEIR_KIND_SLOTS : WEIR_KIND_LEAF;
    return static_cast<T*>(allocate(kKind, count * sizeof(T)));
  }
  char* make_bytes(std::size_t bytes) {
    return static_cast<char*>(allocate(WEIR_KIND_LEAF, bytes));
  }
  // Of the barriers, `cards` alone has anything to do here.
  template <class T>
  void store(void* object, T** slot, T* value) {
    *slot = value;
    weir_write_barrier(mutator_, object, slot);
  }
  void release(void*) {}
  void safepoint() { weir_poll(mutator_); }
  template <class Work>
  void without_heap(const Work& work) {
    weir_enter_blocking(mutator_);
    work();
    weir_leave_blocking(mutator_);
  }

 private:
  void* allocate(weir_kind kind, std::size_t size) {
    pulse_.beat();
    void* object = weir_allocate(mutator_, kind, size);
    if (object == nullptr) give_up();
    return object;
  }

  weir_mutator* mutator_ = nullptr;
  Heap& heap_;
};

}  // namespace weir::programs
