// The distribution's libgc as it comes. GC_ENABLE_INCREMENTAL=1 in the environment makes it
// incremental and generational; with PROGRAM_MARKERS=1 it marks in parallel also where there is one
// mutator only.
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
    static_assert(T::kReferences != 0);
    return static_cast<T*>(checked(GC_malloc(sizeof(T))));
  }
  template <class T>
  T* make_array(std::size_t count) {
    const std::size_t bytes = count * sizeof(T);
    if constexpr (!std::is_pointer_v<T>)
      return static_cast<T*>(__builtin_memset(make_bytes(bytes), 0, bytes));
    pulse_.beat();
    return static_cast<T*>(
        checked(is_large(bytes) ? GC_malloc_ignore_off_page(bytes) : GC_malloc(bytes)));
  }
  char* make_bytes(std::size_t bytes) {
    pulse_.beat();
    return static_cast<char*>(checked(is_large(bytes) ? GC_malloc_atomic_ignore_off_page(bytes)
                                                      : GC_malloc_atomic(bytes)));
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
  // Its manual recommends the calls that ignore pointers beyond the first page from about 100 KB
  // on, to whoever keeps one to the start.
  static bool is_large(std::size_t bytes) { return bytes > 100'000; }

  Heap& heap_;
  bool registered_ = false;
};

}  // namespace weir::programs
