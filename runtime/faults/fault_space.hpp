// One userfaultfd and who answers its faults: the ranges of one address space, ours or another
// process's. Decides what a fault is, the write-protection case first.
//
// Lookups and answers: fault gate held shared. Changes of the table: by FaultServer, under
// FaultGate::Changing, or by the only thread that reads a remote space.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>
#include <weir/barrier.hpp>
#include <weir/userfaultfd.hpp>

#include "runtime/faults/page_source.hpp"
#include "runtime/faults/write_fault_handler.hpp"
#include "runtime/os/file_identity.hpp"
#include "runtime/os/range_map.hpp"

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
  // Whether its answer would come from a slow source.
  bool is_slow(const Fault& fault) noexcept;
  // The same where nobody told which kind of fault it is (SIGBUS).
  Answer answer_untold(Address address, bool may_be_write) noexcept;

  // For a fault of another process in no range that it told us of: patience, since it may have
  // moved its memory there, and the event comes after the fault; then SIGBUS, not wrong bytes.
  Answer answer_stray(const Fault& fault, int tries) noexcept;

  // The program changed its address space itself (non-cooperative events): what the table becomes.
  Table moved(const RemapEvent& event) const;
  Table unmapped(const UnmapEvent& event) const;
  void on_remove(const RemoveEvent& event);
  void on_unmap(const UnmapEvent& event);

  // Has one source bring in a few pages that nobody asked for.
  enum class PushStep { some, nothing_left, retry_later };
  struct Pushed {
    PushStep step;
    std::size_t bytes = 0;
  };
  Pushed push() noexcept;

  void own(Userfaultfd&& opened);
  // Is the descriptor still the file that own() was given, and that a userfaultfd? One system call,
  // two where files may share an identity.
  bool is_intact() const;
  // Has the process ended whose memory this is? Nothing tells, so it is asked for. One system call.
  bool is_process_gone() const;
  // The descriptor was lost: its missing pages read as zeros from then on, so the process stops if
  // there are any.
  void stop_if_lazy() const;

  const Userfaultfd& descriptor() const { return descriptor_; }
  Userfaultfd& descriptor() { return descriptor_; }

  Table table;
  std::vector<PageSource*> remote_sources;  // all that were ever in the table of a remote space
  bool may_push = true;                     // until push() has found nothing left
  bool is_remote = false;
  bool process_is_gone = false;

 private:
  Answer let_write(const Table::Entry& entry, Address page) noexcept;
  std::optional<Answer> fill_removed(const Table::Entry& entry, Address page) noexcept;
  void tell_removed(const Table::Entry& entry, Range gone) noexcept;
  Answer fill(const Table::Entry& entry, const Fault& fault, Delivery by) noexcept;
  bool is_userfaultfd() const;

  Userfaultfd descriptor_;
  os::FileIdentity identity_;  // none if it is not a userfaultfd
  bool identity_may_be_shared_ = true;
};

}  // namespace weir::faults
