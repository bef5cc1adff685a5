#include "runtime/image/modules.hpp"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <cstring>

namespace weir::image {
namespace {

constexpr std::size_t kNoteAlignment = 4;

std::size_t padded(std::size_t size) {
  return (size + kNoteAlignment - 1) & ~(kNoteAlignment - 1);
}

// Of one PT_NOTE segment: a sequence of { sizes, type, "GNU", the id }.
std::string build_id_in(const char* at, std::size_t left) {
  while (left >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    const std::size_t name = padded(note.n_namesz);
    const std::size_t size = sizeof note + name + padded(note.n_descsz);
    if (size > left) break;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
        std::memcmp(at + sizeof note, "GNU", 4) == 0)
      return {at + sizeof note + name, note.n_descsz};
    at += size;
    left -= size;
  }
  return {};
}

int add_module(dl_phdr_info* info, std::size_t, void* data) {
  auto& modules = *static_cast<std::vector<Module>*>(data);
  Module module;
  module.name = info->dlpi_name != nullptr && *info->dlpi_name != '\0' ? info->dlpi_name
                                                                       : "the program itself";
  Address first(~std::uintptr_t{0});
  Address last;
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    const Address begin(info->dlpi_addr + segment.p_vaddr);
    if (segment.p_type == PT_LOAD) {
      first = std::min(first, begin);
      last = std::max(last, begin + segment.p_memsz);
    } else if (segment.p_type == PT_NOTE && module.build_id.empty()) {
      module.build_id = build_id_in(begin.as<const char>(), segment.p_memsz);
    }
  }
  if (first >= last) return 0;
  module.range = Range::between(first, last);
  modules.push_back(std::move(module));
  return 0;
}

}  // namespace

std::vector<Module> loaded_modules() {
  std::vector<Module> modules;
  ::dl_iterate_phdr(add_module, &modules);
  return modules;
}

}  // namespace weir::image
