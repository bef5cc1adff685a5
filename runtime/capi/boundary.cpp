#include "runtime/capi/boundary.hpp"

#include <string>
#include <weir/status.hpp>

#include "runtime/collector/tracer.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::capi {
namespace {

thread_local bool has_failed = false;
thread_local Error last_error{.what = "nothing", .detail = {}};

weir_status status_for(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid_argument:
    case ErrorCode::misaligned:
      return WEIR_INVALID_ARGUMENT;
    case ErrorCode::not_registered:
      return WEIR_NOT_FOUND;
    case ErrorCode::busy:
    case ErrorCode::exists:
      return WEIR_BUSY;
    case ErrorCode::out_of_memory:
      return WEIR_OUT_OF_MEMORY;
    case ErrorCode::unsupported:
    case ErrorCode::self_test_failed:
      return WEIR_UNSUPPORTED;
    case ErrorCode::no_permission:
    case ErrorCode::again:
    case ErrorCode::closed:
    case ErrorCode::system:
      return WEIR_SYSTEM;
  }
  return WEIR_SYSTEM;
}

}  // namespace

weir_status failed(const Error& error) {
  has_failed = true;
  last_error = error;
  return status_for(error.code);
}

weir_status invalid(const char* doing, const char* what) {
  return failed(fail(ErrorCode::invalid_argument, doing, what));
}

collector::Mutator& attached(weir_mutator* mutator) {
  if (mutator == nullptr) os::last_words("a call of the C API with a mutator of NULL");
  collector::Mutator& known = collector::Mutator::of(mutator);
  if (!known.is_attached()) os::last_words("a mutator was used after weir_mutator_detach");
  return known;
}

collector::Mutator& running(weir_mutator* mutator) {
  collector::Mutator& known = attached(mutator);
  if (known.thread().is_blocking())
    os::last_words("a mutator was used between weir_enter_blocking and weir_leave_blocking");
  return known;
}

collector::Heap& given(weir_heap* heap) {
  if (heap == nullptr) os::last_words("a call of the C API with a heap of NULL");
  return collector::Heap::of(heap);
}

void outside_of_callbacks() {
  if (collector::is_tracing())
    os::last_words("a call of the C API inside a trace callback, a roots callback or a visit");
}

}  // namespace weir::capi

weir::Error weir::last_failure() {
  return weir::capi::last_error;
}

const char* weir_error_message(void) {
  if (!weir::capi::has_failed) return "no call has failed yet";
  static thread_local char text[512];
  const std::string message = weir::last_failure().message();
  text[message.copy(text, sizeof text - 1)] = '\0';
  return text;
}
