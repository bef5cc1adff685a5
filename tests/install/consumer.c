/* The program of docs/embedding.md, as somebody who only has what was installed compiles it. */
#include <stdio.h>
#include <weir/weir.h>

struct pair {
  struct pair *first, *second;
  long number;
};

int main(void) {
  weir_heap* heap;
  weir_mutator* mutator;
  weir_kind pair;
  const uint64_t slots = 3;
  struct pair* list = NULL;
  long i, sum = 0;
  weir_kind_config config = {0};
  config.name = "pair";
  config.tracing = WEIR_TRACE_BITMAP;
  config.bitmap = &slots;
  config.bitmap_words = 3;
  if (weir_heap_create(NULL, &heap) || weir_kind_define(heap, &config, &pair) ||
      weir_mutator_attach(heap, NULL, &mutator)) {
    fprintf(stderr, "%s\n", weir_error_message());
    return 1;
  }
  for (i = 0; i < 100000; ++i) { /* its roots: this stack */
    struct pair* made = weir_allocate(mutator, pair, sizeof *made);
    if (made == NULL) return 1;
    made->first = i % 1000 == 0 ? NULL : list;
    made->number = i;
    list = made;
  }
  if (weir_collect(mutator) != WEIR_OK) return 1;
  for (; list != NULL; list = list->first) sum += list->number - 99000;
  weir_mutator_detach(mutator);
  weir_heap_destroy(heap, true);
  printf("C: %ld\n", sum);
  return sum == 999 * 500 ? 0 : 1;
}
