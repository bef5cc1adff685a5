// References that do not keep their object alive. Cells outside the heap, which end with their
// owner; used and ended on the mutator that they were made with, or another one of that heap that
// the thread is on: use().
#pragma once

#include <weir/weir.h>

#include <utility>
#include <weir/error.hpp>
#include <weir/mutator.hpp>
#include <weir/status.hpp>

namespace weir {

template <class T>
class Weak {
 public:
  static Expected<Weak> create(MutatorRef mutator, T* object) {
    weir_weak* cell = nullptr;
    if (auto made = checked(weir_weak_create(mutator.get(), object, &cell)); !made)
      return Unexpected(made.error());
    return Weak(mutator.get(), cell);
  }
  Weak(Weak&& other) noexcept
      : mutator_(other.mutator_), cell_(std::exchange(other.cell_, nullptr)) {}
  Weak& operator=(Weak&& other) noexcept {
    std::swap(mutator_, other.mutator_);
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Weak() {
    if (cell_ != nullptr) weir_weak_destroy(mutator_, cell_);
  }

  // nullptr: the object died.
  T* get() const { return static_cast<T*>(weir_weak_get(mutator_, cell_)); }
  void use(MutatorRef mutator) { mutator_ = mutator.get(); }

 private:
  Weak(weir_mutator* mutator, weir_weak* cell) : mutator_(mutator), cell_(cell) {}

  weir_mutator* mutator_;
  weir_weak* cell_;
};

// The value lives as long as the key does and this exists; then both are nullptr.
template <class Key, class Value>
class Ephemeron {
 public:
  static Expected<Ephemeron> create(MutatorRef mutator, Key* key, Value* value) {
    weir_ephemeron* cell = nullptr;
    if (auto made = checked(weir_ephemeron_create(mutator.get(), key, value, &cell)); !made)
      return Unexpected(made.error());
    return Ephemeron(mutator.get(), cell);
  }
  Ephemeron(Ephemeron&& other) noexcept
      : mutator_(other.mutator_), cell_(std::exchange(other.cell_, nullptr)) {}
  Ephemeron& operator=(Ephemeron&& other) noexcept {
    std::swap(mutator_, other.mutator_);
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Ephemeron() {
    if (cell_ != nullptr) weir_ephemeron_destroy(mutator_, cell_);
  }

  Key* key() const { return static_cast<Key*>(weir_ephemeron_key(mutator_, cell_)); }
  Value* value() const { return static_cast<Value*>(weir_ephemeron_value(mutator_, cell_)); }
  void use(MutatorRef mutator) { mutator_ = mutator.get(); }

 private:
  Ephemeron(weir_mutator* mutator, weir_ephemeron* cell) : mutator_(mutator), cell_(cell) {}

  weir_mutator* mutator_;
  weir_ephemeron* cell_;
};

}  // namespace weir
