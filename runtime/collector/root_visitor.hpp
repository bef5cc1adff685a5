// Whoever wants to know where references into the heap come from: the marker, the verifier, the
// search for a path. Called with the world stopped. `what` names the sort of root.
#pragma once

#include <weir/weir.h>

#include <cstddef>
#include <weir/address.hpp>

#include "runtime/os/function_ref.hpp"

namespace weir::collector {

class RootVisitor {
 public:
  virtual void root_slots(const char* what, Address first, std::size_t count) = 0;
  virtual void root_words(const char* what, Range words) = 0;  // conservatively
  virtual void root_object(const char* what, Address object) = 0;
  virtual void root_callback(const char* what, os::FunctionRef<void(weir_visitor*)> callback) = 0;

 protected:
  ~RootVisitor() = default;
};

}  // namespace weir::collector
