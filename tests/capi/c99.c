/* weir.h as a C99 program sees it: it compiles without a warning, and the inline parts work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

typedef struct pair {
  struct pair* first;
  struct pair* second;
  long value;
} pair;

static int finalized = 0;

static void must(weir_status status) {
  if (status == WEIR_OK) return;
  fprintf(stderr, "%s\n", weir_error_message());
  exit(1);
}

static void check(bool condition, const char* what) {
  if (condition) return;
  fprintf(stderr, "wrong: %s\n", what);
  exit(1);
}

static void trace(weir_visitor* visitor, void* object, size_t from, size_t to, void* data) {
  pair* traced = (pair*)object;
  (void)from, (void)to, (void)data;
  weir_visit(visitor, &traced->first);
  weir_visit(visitor, &traced->second);
}

static void finalize(weir_mutator* mutator, void* object, void* data) {
  (void)mutator, (void)data;
  finalized += (int)((pair*)object)->value;
}

static pair* make(weir_mutator* mutator, weir_kind kind, pair* first, pair* second) {
  pair* made = (pair*)weir_allocate(mutator, kind, sizeof(pair));
  check(made != NULL && made->first == NULL && made->value == 0, "an object starts as zeros");
  made->first = first;
  made->second = second;
  weir_write_barrier(mutator, made, &made->first);
  return made;
}

static bool count(const weir_object* object, void* data) {
  check(object->size == 32, "three words are two granules");
  ++*(size_t*)data;
  return true;
}

int main(void) {
  weir_config config;
  weir_heap* heap = NULL;
  weir_mutator* mutator = NULL;
  weir_kind kind = 0;
  weir_kind_config pairs;
  weir_mutator_config precise = {WEIR_STOP_POLL, false, NULL};
  weir_statistics statistics;
  pair* dead;
  void* slots[1] = {NULL};
  weir_frame frame;
  size_t live = 0, i;

  weir_config_init(&config);
  must(weir_heap_create(&config, &heap));
  memset(&pairs, 0, sizeof pairs);
  pairs.name = "pair";
  pairs.tracing = WEIR_TRACE_CALLBACK;
  pairs.trace = trace;
  must(weir_kind_define(heap, &pairs, &kind));
  must(weir_mutator_attach(heap, &precise, &mutator));

  frame.count = 1;
  frame.slots = slots;
  weir_frame_enter(mutator, &frame);
  for (i = 0; i < 1000; ++i) {
    slots[0] = make(mutator, kind, (pair*)slots[0], NULL);
    (void)make(mutator, kind, (pair*)slots[0], (pair*)slots[0]);
    weir_poll(mutator);
  }
  dead = make(mutator, kind, NULL, NULL);
  dead->value = 42;
  must(weir_finalizer_set(mutator, dead, finalize, NULL));
  must(weir_collect(mutator));
  check(weir_finalizers_run(mutator, 10) == 1 && finalized == 42, "the finalizer ran");
  must(weir_heap_walk(mutator, count, &live));
  check(live == 1000, "the list lives, and nothing else");
  weir_heap_statistics(heap, &statistics);
  check(statistics.collections == 2 && statistics.live_bytes == 32000, "statistics");
  weir_frame_leave(mutator, &frame);

  check(weir_heap_destroy(heap, false) == WEIR_BUSY, "a heap that is attached to stays");
  must(weir_mutator_detach(mutator));
  must(weir_heap_destroy(heap, true));
  return 0;
}
