// mimalloc, as a program would use it that knows when things die.
#pragma once

#include <mimalloc.h>

#include <new>

namespace weir::programs {

inline constexpr char kSystem[] = "mimalloc";
inline constexpr bool kFrees = true;

[[noreturn]] void give_up();

class Heap {
 public:
  explicit Heap(const HeapSetup&) {}
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  void begin_repetition() { utilisation_.forget(); }
  Collections collections() const { return {}; }
  Utilisation& utilisation() { return utilisation_; }

 private:
  Utilisation utilisation_;
};

class Mutator : public MutatorClock {
 public:
  explicit Mutator(Heap& heap) : heap_(heap) {}
  Mutator(const Mutator&) = delete;
  Mutator& operator=(const Mutator&) = delete;

  Heap& heap() const { return heap_; }
  void end_repetition() { pulse_.end(heap_.utilisation()); }

  // Small objects are cleared by their constructor, of which the compiler leaves what is needed.
  template <class T>
  T* make() {
    static_assert(T::kReferences != 0);
    pulse_.beat();
    return new (checked(mi_malloc(sizeof(T)))) T{};
  }
  template <class T>
  T* make_array(std::size_t count) {
    pulse_.beat();
    return static_cast<T*>(checked(mi_zalloc(count * sizeof(T))));
  }
  char* make_bytes(std::size_t bytes) {
    pulse_.beat();
    return static_cast<char*>(checked(mi_malloc(bytes)));
  }
  template <class T>
  void store(void*, T** slot, T* value) {
    *slot = value;
  }
  void release(void* object) {
    pulse_.beat();
    mi_free(object);
  }
  void safepoint() {}
  template <class Work>
  void without_heap(const Work& work) {
    work();
  }

 private:
  static void* checked(void* object) {
    if (object == nullptr) give_up();
    return object;
  }

  Heap& heap_;
};

}  // namespace weir::programs
