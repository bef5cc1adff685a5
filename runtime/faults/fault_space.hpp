// One userfaultfd and who answers its faults: the ranges of one address space, ours or another
// process's. Decides what a fault is, the write-protection case first.
//
// Lookups and answers: fault gate held shared. Changes of the table: by FaultServer, under
// FaultGate::Changing, or by the only thread that reads a remote space.
#pragma once

#include "runtime/faults/page_source.hpp"
#include "runtime/faults/write_fault_handler.hpp"
#include "runtime/os/range_map.hpp"

#include <weir/userfaultfd.hpp>

#include <cstddef>

namespace weir::faults {

struct Answerers {
  PageSource* source = nullptr;         // of missing pages
  Address source_origin;                // where the source's offset 0 lies
  WriteFaultHandler* writes = nullptr;  // of stores to protected pages

  std::size_t offset_of(Address a) const { return a - source_origin; }
  RegisterModes modes() const {
    RegisterModes modes;
    if (source != nullptr) modes |= RegisterMode::missing;
    if (writes != nullptr) modes |= RegisterMode::write_protect;
    return modes;
  }
};

struct Fault {
  Address address;
  bool write = false;
  bool write_protected = false;  // the page is there, but armed
  friend bool operator==(const Fault&, const Fault&) = default;
};

class FaultSpace {
 public:
  using Table = os::RangeMap<Answerers>;

  Answer answer(const Fault& fault) noexcept;
  // The same where nobody told which kind of fault it is (SIGBUS).
  Answer answer_untold(Address address, bool may_be_write) noexcept;

  // The program changed its address space itself (non-cooperative events).
  void on_remap(const RemapEvent& event);
  void on_remove(const RemoveEvent& event);
  void on_unmap(const UnmapEvent& event);

  Userfaultfd descriptor;
  Table table;
  bool process_is_gone = false;

 private:
  Answer fill(const Table::Entry& entry, const Fault& fault) noexcept;
};

}  // namespace weir::faults
