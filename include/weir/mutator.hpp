// A thread's access to a heap, in C++: everything here is weir.h's, with types, scopes and errors
// as values, and nothing in between at run time. What a call may do, and when, is said there.
#pragma once

#include <weir/weir.h>

#include <cassert>
#include <cstddef>
#include <limits>
#include <new>
#include <type_traits>
#include <utility>
#include <weir/error.hpp>
#include <weir/kind.hpp>
#include <weir/status.hpp>

namespace weir {

// Somebody's mutator, to allocate and collect with. A plain value, passed as such.
class MutatorRef {
 public:
  explicit MutatorRef(weir_mutator* mutator) : mutator_(mutator) {}
  weir_mutator* get() const { return mutator_; }

  // [collects] A new object; nullptr: out of memory. It has to be trivially destructible: what is
  // to be done at its end, a finalizer does. Arguments that are objects must be kept by others.
  template <class T, class... Arguments>
  T* make(Kind<T> kind, Arguments&&... arguments) const {
    check_type<T>();
    void* memory = weir_allocate(mutator_, kind.value, sizeof(T));
    if (memory == nullptr) return nullptr;
    if constexpr (std::is_aggregate_v<T>)
      return ::new (memory) T{std::forward<Arguments>(arguments)...};
    else
      return ::new (memory) T(std::forward<Arguments>(arguments)...);
  }
  // [collects] `count` of them in one object; nullptr: out of memory.
  template <class T>
  T* make_array(Kind<T> kind, std::size_t count) const {
    check_type<T>();
    if (count > std::numeric_limits<std::size_t>::max() / sizeof(T)) return nullptr;
    T* first = static_cast<T*>(weir_allocate(mutator_, kind.value, count * sizeof(T)));
    if constexpr (!std::is_trivially_default_constructible_v<T>)  // the others start as zeros
      for (std::size_t i = 0; first != nullptr && i < count; ++i) ::new (first + i) T();
    return first;
  }

  // [collects] A safepoint: in every loop that may run long.
  void poll() const { weir_poll(mutator_); }
  // [collects] Everything that nothing refers to is gone. Error busy: inside NoCollect, a
  // finalizer.
  Expected<> collect() const { return checked(weir_collect(mutator_)); }

  // Calls Function(MutatorRef, T*) once, when only finalizers can reach the object any more.
  template <auto Function, class T>
  Expected<> set_finalizer(T* object) const {
    const weir_finalizer call = [](weir_mutator* mutator, void* dead, void* /*data*/) {
      Function(MutatorRef(mutator), static_cast<T*>(dead));
    };
    return checked(weir_finalizer_set(mutator_, object, call, nullptr));
  }
  Expected<> clear_finalizer(void* object) const {
    return checked(weir_finalizer_set(mutator_, object, nullptr, nullptr));
  }
  // [collects] Runs those that are due; how many.
  std::size_t run_finalizers(std::size_t most = std::numeric_limits<std::size_t>::max()) const {
    return weir_finalizers_run(mutator_, most);
  }

  // visit(const weir_block&) for each block of the heap; see weir_heap_blocks.
  template <class Visit>
  void for_each_block(Visit&& visit) const {
    weir_heap_blocks(
        mutator_,
        [](const weir_block* block, void* data) {
          (*static_cast<std::remove_reference_t<Visit>*>(data))(*block);
        },
        &visit);
  }

 private:
  template <class T>
  static constexpr void check_type() {
    static_assert(std::is_trivially_destructible_v<T>, "no destructor runs: use a finalizer");
    static_assert(alignof(T) <= WEIR_GRANULE, "objects are aligned to 16 bytes");
  }

  weir_mutator* mutator_;
};

// Attaches the calling thread, as long as it exists: Heap::attach makes one. It ends before its
// heap does, on the thread that it is on.
class [[nodiscard]] Mutator : public MutatorRef {
 public:
  explicit Mutator(weir_mutator* attached) : MutatorRef(attached) {}
  Mutator(Mutator&& other) noexcept
      : MutatorRef(std::exchange(static_cast<MutatorRef&>(other), MutatorRef(nullptr))) {}
  Mutator& operator=(Mutator&& other) noexcept {
    std::swap(static_cast<MutatorRef&>(*this), static_cast<MutatorRef&>(other));
    return *this;
  }
  ~Mutator() {
    if (get() == nullptr) return;
    [[maybe_unused]] const weir_status status = weir_mutator_detach(get());
    assert(status == WEIR_OK && "a mutator ended inside a callback");
  }
};

// In this scope the thread does not touch the heap, and counts as stopped: around system calls that
// wait, locks, sleep.
class [[nodiscard]] Blocking {
 public:
  explicit Blocking(MutatorRef mutator) : mutator_(mutator.get()) { weir_enter_blocking(mutator_); }
  ~Blocking() { weir_leave_blocking(mutator_); }
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

 private:
  weir_mutator* mutator_;
};

// In this scope no collection begins: the heap grows, up to its maximum.
class [[nodiscard]] NoCollect {
 public:
  explicit NoCollect(MutatorRef mutator) : mutator_(mutator.get()) {
    weir_no_collect_begin(mutator_);
  }
  ~NoCollect() { weir_no_collect_end(mutator_); }
  NoCollect(const NoCollect&) = delete;
  NoCollect& operator=(const NoCollect&) = delete;

 private:
  weir_mutator* mutator_;
};

}  // namespace weir
