#include <weir/userfaultfd.hpp>

namespace weir {

const char* name_of(UffdFeature feature) {
  switch (feature) {
    case UffdFeature::pagefault_flag_wp:
      return "pagefault_flag_wp";
    case UffdFeature::event_fork:
      return "event_fork";
    case UffdFeature::event_remap:
      return "event_remap";
    case UffdFeature::event_remove:
      return "event_remove";
    case UffdFeature::missing_hugetlbfs:
      return "missing_hugetlbfs";
    case UffdFeature::missing_shmem:
      return "missing_shmem";
    case UffdFeature::event_unmap:
      return "event_unmap";
    case UffdFeature::sigbus:
      return "sigbus";
    case UffdFeature::thread_id:
      return "thread_id";
    case UffdFeature::minor_hugetlbfs:
      return "minor_hugetlbfs";
    case UffdFeature::minor_shmem:
      return "minor_shmem";
    case UffdFeature::exact_address:
      return "exact_address";
    case UffdFeature::wp_hugetlbfs_shmem:
      return "wp_hugetlbfs_shmem";
    case UffdFeature::wp_unpopulated:
      return "wp_unpopulated";
    case UffdFeature::poison:
      return "poison";
    case UffdFeature::wp_async:
      return "wp_async";
    case UffdFeature::move:
      return "move";
  }
  return "unknown";
}

const char* name_of(UffdOpenPath path) {
  switch (path) {
    case UffdOpenPath::device:
      return "device";
    case UffdOpenPath::system_call:
      return "system call";
    case UffdOpenPath::user_mode_only:
      return "user-mode-only";
    case UffdOpenPath::adopted:
      return "adopted";
  }
  return "unknown";
}

const char* name_of(UffdOutcome outcome) {
  switch (outcome) {
    case UffdOutcome::done:
      return "done";
    case UffdOutcome::partial:
      return "partial";
    case UffdOutcome::exists:
      return "exists";
    case UffdOutcome::again:
      return "again";
    case UffdOutcome::not_found:
      return "not found";
    case UffdOutcome::no_such_process:
      return "no such process";
    case UffdOutcome::no_memory:
      return "no memory";
    case UffdOutcome::bad_address:
      return "bad address";
    case UffdOutcome::invalid:
      return "invalid";
    case UffdOutcome::busy:
      return "busy";
    case UffdOutcome::closed:
      return "closed";
    case UffdOutcome::interrupted:
      return "interrupted";
    case UffdOutcome::failed:
      return "failed";
  }
  return "unknown";
}

}  // namespace weir
