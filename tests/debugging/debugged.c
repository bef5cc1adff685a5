// Objects of each sort, old, young, dead, small and large, and then a stop for the debugger.
#include <signal.h>
#include <stdlib.h>
#include <weir/weir.h>

static void* node;
static void* text;
static void* table;
static void* large;
static void* young;
static void* dead;
static void* not_ours;

static void must(weir_status status) {
  if (status != WEIR_OK) abort();
}

static void stop_here(weir_mutator* mutator) {
  (void)mutator;
  raise(SIGTRAP);
}

int main(void) {
  weir_config config;
  weir_config_init(&config);
  weir_heap* heap = NULL;
  must(weir_heap_create(&config, &heap));
  const weir_mutator_config precise = {WEIR_STOP_POLL, false, NULL};
  weir_mutator* mutator = NULL;
  must(weir_mutator_attach(heap, &precise, &mutator));

  const uint64_t both = 3;
  weir_kind_config described = {0};
  described.name = "node";
  described.tracing = WEIR_TRACE_BITMAP;
  described.bitmap = &both;
  described.bitmap_words = 2;
  weir_kind kind;
  must(weir_kind_define(heap, &described, &kind));

  void* slots[4] = {NULL};
  weir_frame frame = {NULL, 4, slots};
  weir_frame_enter(mutator, &frame);
  slots[0] = node = weir_allocate(mutator, kind, 32);
  slots[1] = text = weir_allocate(mutator, WEIR_KIND_LEAF, 100);
  slots[2] = table = weir_allocate(mutator, WEIR_KIND_SLOTS, 8192);
  slots[3] = large = weir_allocate(mutator, kind, 100000);
  dead = weir_allocate(mutator, kind, 48);
  must(weir_collect(mutator));
  young = weir_allocate(mutator, WEIR_KIND_CONSERVATIVE, 64);
  not_ours = &config;
  stop_here(mutator);

  weir_frame_leave(mutator, &frame);
  must(weir_mutator_detach(mutator));
  return weir_heap_destroy(heap, false) == WEIR_OK ? 0 : 1;
}
