// What is due after a collection: the functions of Data objects that died, and the part of the VM's
// stacks above their tops, where what the program is done with would be kept.
#include <mruby.h>
#include <mruby/data.h>

#include <cstdint>

#include "gc_demo/mruby/port.hpp"

extern "C" mrb_int mrb_ci_nregs(mrb_callinfo* ci);

using namespace weir::mruby;

namespace {

// Its own function frees what is behind it.
void free_data(mrb_state* mrb, RData* data) {
  if (data->type != nullptr && data->type->dfree != nullptr) data->type->dfree(mrb, data->data);
  data->data = nullptr;  // a collection may still look at it
}

// Where it is in the list: in a member that mruby's own collector used.
std::size_t index_of(const RData* data) {
  return reinterpret_cast<std::size_t>(data->gcnext);
}
void put(Port& port, std::size_t index, RData* data) {
  port.data[index] = data;
  data->gcnext = reinterpret_cast<RBasic*>(index);
}

void finalize(weir_mutator* /*mutator*/, void* object, void* state) {
  auto* mrb = static_cast<mrb_state*>(state);
  auto* data = static_cast<RData*>(object);
  Port& port = port_of(mrb);
  put(port, index_of(data), port.data.back());
  port.data.pop_back();
  free_data(mrb, data);
}

void clear_above_top(mrb_context* context) {
  if (context->stbase == nullptr || context->ci == nullptr) return;
  mrb_value* top = context->ci->stack + mrb_ci_nregs(context->ci);
  for (; top < context->stend; ++top)
    if (!mrb_nil_p(*top)) *top = mrb_nil_value();  // a page that is clean stays so
}

}  // namespace

namespace weir::mruby {

void set_finalizer(mrb_state* mrb, RData* data) {
  Port& port = port_of(mrb);
  if (weir_finalizer_set(port.mutator, data, finalize, mrb) != WEIR_OK) raise_no_memory(mrb);
  port.data.push_back(nullptr);
  put(port, port.data.size() - 1, data);
}

void finalize_all(mrb_state* mrb) {
  for (RData* data : port_of(mrb).data) free_data(mrb, data);
}

void clear_stacks(mrb_state* mrb) {
  for (mrb_context* context = mrb->c; context != nullptr; context = context->prev)
    clear_above_top(context);
  if (mrb->c != mrb->root_c) clear_above_top(mrb->root_c);
}

void after_collection(mrb_state* mrb) {
  Port& port = port_of(mrb);
  port.has_collected = false;
  clear_stacks(mrb);
  keep_reserve(port);
  weir_finalizers_run(port.mutator, SIZE_MAX);
}

}  // namespace weir::mruby
