// The heap of a mrb_state: made when mruby initialises its collector, gone with the state.
#include "gc_demo/mruby/port.hpp"

#include <mruby/irep.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace weir::mruby;

namespace {

constexpr std::size_t kMinimum = std::size_t{4} << 20;  // most programs are small

void need(weir_status status) {
  if (status == WEIR_OK) return;
  std::fprintf(stderr, "mruby on Weir: %s\n", weir_error_message());
  std::exit(EXIT_FAILURE);
}

// The arena protects what C functions have just made; above its top are stale pointers.
void visit_roots(weir_visitor* visitor, void* data) {
  auto* mrb = static_cast<mrb_state*>(data);
  for (int i = 0; i < mrb->gc.arena_idx; ++i) weir_visit(visitor, mrb->gc.arena + i);
  if (port_of(mrb).marks_cards) visit_unbarriered(mrb, visitor);
  weir_visit(visitor, &port_of(mrb).reserve);
  port_of(mrb).has_collected = true;
}

}  // namespace

namespace weir::mruby {

void attach(mrb_state* mrb) {
  auto* port = new Port;
  weir_config config;
  weir_config_init(&config);
  config.minimum_bytes = kMinimum;
  config.growth = kGrowth;
  need(weir_heap_create(&config, &port->heap));
  need(weir_mutator_attach(port->heap, nullptr, &port->mutator));
  port->marks_cards = std::strcmp(weir_heap_barrier(port->heap), "cards") == 0;
  need(define_kinds(*port));
  mrb->gc.heaps = reinterpret_cast<mrb_heap_page*>(port);
  need(weir_roots_add_conservative(port->heap, mrb, sizeof *mrb));
  need(weir_roots_add_callback(port->heap, visit_roots, mrb));
  // A leaf: written all the time, and looked at only up to its top.
  mrb->gc.arena_capa = MRB_GC_ARENA_SIZE;
  mrb->gc.arena = static_cast<RBasic**>(
      weir_allocate(port->mutator, WEIR_KIND_LEAF, sizeof(RBasic*) * MRB_GC_ARENA_SIZE));
}

void detach(mrb_state* mrb) {
  Port* port = &port_of(mrb);
  need(weir_mutator_detach(port->mutator));
  need(weir_heap_destroy(port->heap, false));
  delete port;
}

}  // namespace weir::mruby

extern "C" {

void mrb_gc_init(mrb_state* mrb, mrb_gc* /*gc*/) {
  attach(mrb);
}

void mrb_gc_destroy(mrb_state* mrb, mrb_gc* /*gc*/) {
  finalize_all(mrb);
  port_of(mrb).is_closing = true;
}

// Ireps are garbage like anything else: nobody counts references to them, and so there is no limit
// to these. Linked in place of mruby's by --wrap.
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier): the linker's names
void __wrap_mrb_irep_incref(mrb_state* /*mrb*/, mrb_irep* /*irep*/) {}
void __wrap_mrb_irep_decref(mrb_state* /*mrb*/, mrb_irep* /*irep*/) {}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier)

}  // extern "C"
