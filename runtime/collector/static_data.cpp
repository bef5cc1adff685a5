#include "runtime/collector/static_data.hpp"

#include <link.h>

#include "runtime/os/last_words.hpp"

namespace weir::collector {
namespace {

void add(std::uint64_t& hash, std::uint64_t value) {
  constexpr std::uint64_t kPrime = 0x100000001b3;  // FNV-1a, a word at a time
  hash = (hash ^ value) * kPrime;
}

}  // namespace

// Where the loader put everything, and what it is. Entries are linked in and out by one store.
// ThreadSanitizer sees neither the loader's lock nor its stores, only that it called calloc.
__attribute__((no_sanitize("thread"))) std::uint64_t StaticData::loaded_now() {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const link_map* object = ::_r_debug.r_map; object != nullptr; object = object->l_next) {
    add(hash, Address(object).value());
    add(hash, object->l_addr);
    add(hash, Address(object->l_ld).value());
    for (const char* name = object->l_name; *name != '\0'; ++name)
      add(hash, static_cast<unsigned char>(*name));
  }
  return hash;
}

void StaticData::list() {
  clear();
  const auto add_object = [](dl_phdr_info* object, std::size_t /*size*/, void* data) {
    auto& self = *static_cast<StaticData*>(data);
    if (self.loaded_ == 0) self.loaded_ = loaded_now();  // under the loader's lock
    for (int i = 0; i < object->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = object->dlpi_phdr[i];
      if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) == 0) continue;
      const Range range{Address(object->dlpi_addr + segment.p_vaddr), segment.p_memsz};
      if (!self.segments_.push_back(range)) os::last_words("no memory for the list of static data");
    }
    return 0;
  };
  ::dl_iterate_phdr(add_object, this);
}

bool StaticData::is_current() const {
  return loaded_ == loaded_now();
}

}  // namespace weir::collector
