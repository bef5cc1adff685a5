// Static data as roots: of the program, of libraries loaded long before a collection, and between
// its beginning and the stop.
#include "runtime/collector/static_data.hpp"

#include <dlfcn.h>

#include <atomic>
#include <thread>

#include "tests/collector/rig.hpp"
#include "tests/support/random.hpp"

using namespace weir::test;

namespace {

void* in_bss;
void* in_data[2] = {&in_bss, nullptr};

class Library {
 public:
  Library() : handle_(::dlopen(WEIR_LOADED_LIBRARY, RTLD_NOW | RTLD_LOCAL)) {
    REQUIRE_MESSAGE(handle_ != nullptr, ::dlerror());
  }
  ~Library() { ::dlclose(handle_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void*& zero() const { return variable("weir_loaded_zero")[0]; }
  void*& other() const { return variable("weir_loaded_other")[2]; }

 private:
  void** variable(const char* name) const {
    auto** found = static_cast<void**>(::dlsym(handle_, name));
    REQUIRE(found != nullptr);
    return found;
  }
  void* handle_;
};

bool is_alive(weir_mutator* mutator, void* object) {
  weir_object found{};
  return weir_object_at(mutator, object, &found) == WEIR_OK;
}

}  // namespace

TEST_CASE("static data keeps objects, once it is asked for and until it is asked for no more") {
  const TestHeap heap;
  const TestMutator mutator(heap, kPrecise);
  const Library library;
  void** const variables[] = {&in_bss, &in_data[1], &library.zero(), &library.other()};
  for (void** variable : variables) *variable = weir_allocate(mutator, WEIR_KIND_LEAF, 32);
  REQUIRE(weir_roots_static_data(heap, true) == WEIR_OK);
  for (int i = 0; i < 3; ++i) {
    collect(mutator);
    for (void** variable : variables) CHECK(is_alive(mutator, *variable));
  }
  REQUIRE(weir_roots_static_data(heap, false) == WEIR_OK);
  collect(mutator);
  for (void** variable : variables) {
    CHECK_FALSE(is_alive(mutator, *variable));
    *variable = nullptr;
  }
}

TEST_CASE("a list of static data is current until something is loaded or unloaded") {
  weir::collector::StaticData data;
  CHECK_FALSE(data.is_current());
  data.list();
  CHECK(data.is_current());
  {
    const Library library;
    CHECK_FALSE(data.is_current());
    data.list();
    CHECK(data.is_current());
    bool is_there = false;
    for (const weir::Range& segment : data)
      is_there = is_there || segment.contains(weir::Address(&library.zero()));
    CHECK(is_there);
    const Library again;  // loaded already
    CHECK(data.is_current());
  }
  CHECK_FALSE(data.is_current());
  data.clear();
  CHECK_FALSE(data.is_current());
  CHECK(data.begin() == data.end());
}

// The only reference is in a library that may have been loaded after the collection that is under
// way had listed the static data.
TEST_CASE("a library that is loaded while a collection begins keeps its objects") {
  for (const weir_mutator_config& how : {kPrecise, kBySignal}) {
    weir_config config = small_heap();
    config.verify = true;  // the dead are overwritten
    const TestHeap heap(config);
    REQUIRE(weir_roots_static_data(heap, true) == WEIR_OK);
    std::atomic<bool> done = false;
    std::size_t lost = 0;
    std::thread collecting([&] {
      const TestMutator mutator(heap, kPrecise);
      while (!done) collect(mutator);
    });
    {
      const TestMutator mutator(heap, how);
      for (std::size_t i = 0; i < scaled(500); ++i) {
        const Library library;
        auto* object = static_cast<std::uint64_t*>(weir_allocate(mutator, WEIR_KIND_LEAF, 64));
        object[0] = object[7] = i;
        // A reference that no stack holds, by any of its bytes' names.
        library.zero() = object;
        object = nullptr;
        weir_poll(mutator);
        const auto* kept = static_cast<const std::uint64_t*>(library.zero());
        lost += kept[0] != i || kept[7] != i;
        library.zero() = nullptr;
      }
      done = true;
      weir_enter_blocking(mutator);
      collecting.join();
      weir_leave_blocking(mutator);
    }
    CHECK(lost == 0);
  }
}
