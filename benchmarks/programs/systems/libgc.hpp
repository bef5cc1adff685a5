// The distribution's libgc as it comes; GC_ENABLE_INCREMENTAL=1 in the environment makes it
// incremental and generational.
#pragma once

#define GC_THREADS
#define GC_NO_THREAD_REDIRECTS
#include <gc/gc.h>

#include <type_traits>

namespace weir::programs {

inline constexpr char kSystem[] = "libgc";
inline constexpr bool kFrees = false;

[[noreturn]] void give_up();

class Heap {
 public:
  explicit Heap(const HeapSetup& setup);
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  void begin_repetition() { utilisation_.forget(); }
  Collections collections() const;
  Utilisation& utilisation() { return utilisation_; }

 private:
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
    pulse_.beat();
    return static_cast<T*>(checked(T::kReferences == 0
                                       ? clear(GC_malloc_atomic(sizeof(T)), sizeof(T))
                                       : GC_malloc(sizeof(T))));
  }
  template <class T>
  T* make_array(std::size_t count) {
    pulse_.beat();
    const std::size_t bytes = count * sizeof(T);
    // Its manual recommends the latter from about 100 KB on, for whoever keeps the start of it.
    const bool large = bytes > 100'000;
    if constexpr (std::is_pointer_v<T>)
      return static_cast<T*>(checked(large ? GC_malloc_ignore_off_page(bytes) : GC_malloc(bytes)));
    else
      return static_cast<T*>(checked(
          clear(large ? GC_malloc_atomic_ignore_off_page(bytes) : GC_malloc_atomic(bytes), bytes)));
  }
  template <class T>
  void store(void*, T** slot, T* value) {
    *slot = value;
  }
  void release(void*) {}
  void safepoint() {}
  template <class Work>
  void without_heap(const Work& work) {
    work();  // signals stop the thread
  }

 private:
  static void* checked(void* object) {
    if (object == nullptr) give_up();
    return object;
  }
  // Atomic objects are not.
  static void* clear(void* object, std::size_t bytes) {
    return object == nullptr ? object : __builtin_memset(object, 0, bytes);
  }

  Heap& heap_;
  bool registered_ = false;
};

}  // namespace weir::programs
