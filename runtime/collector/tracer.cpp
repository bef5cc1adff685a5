#include "runtime/collector/tracer.hpp"

namespace weir::collector {
namespace {

thread_local unsigned tracing_depth = 0;

}  // namespace

TracingScope::TracingScope() {
  ++tracing_depth;
}
TracingScope::~TracingScope() {
  --tracing_depth;
}

bool is_tracing() {
  return tracing_depth != 0;
}

}  // namespace weir::collector
