/* Weir's C API: a garbage-collected heap for an interpreter, with no write barrier in its code.
 *
 * Shapes.   A heap is a world of its own: objects of one never point into another. A mutator is a
 *           thread's (or a green thread scheduler's) access to one heap. A kind says how objects
 *           are traced. Objects never move, are 16-byte aligned and start as zeros.
 * Units.    Sizes in bytes, times in nanoseconds.
 * Errors.   Fallible calls return weir_status; weir_error_message() has the sentence of the calling
 *           thread's last failure. A failed call has changed nothing. Allocation returns NULL after
 *           the out-of-memory handler declined. What is left (a call that can never be right, such
 *           as allocating inside a trace callback) ends the process with a sentence on stderr.
 * Threads.  Calls that take a mutator: only the thread that the mutator is on, not inside a
 *           blocking region unless said so. Calls that take a heap: any thread; those that change
 *           it exclude one another by themselves. A call that may collect is marked [collects]:
 *           objects that only precise roots could keep alive must be in one by then.
 */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weir_heap weir_heap;
typedef struct weir_mutator weir_mutator;

/* ---- Errors ----------------------------------------------------------------------------------*/

typedef enum weir_status {
  WEIR_OK = 0,
  WEIR_INVALID_ARGUMENT, /* a value that can never be right; the message names it */
  WEIR_NOT_FOUND,        /* no such root, object, stack, ... */
  WEIR_BUSY,             /* in use: mutators attached, inside a collection, ... */
  WEIR_OUT_OF_MEMORY,
  WEIR_UNSUPPORTED,
  WEIR_SYSTEM /* the kernel refused; the message has the errno and what to do */
} weir_status;

/* Of this thread's last call that failed; valid until the next one fails. Never NULL. */
const char* weir_error_message(void);

/* ---- Configuration ---------------------------------------------------------------------------*/

typedef enum weir_huge_pages {
  WEIR_HUGE_PAGES_PREFER, /* madvise(MADV_HUGEPAGE) where the system allows it */
  WEIR_HUGE_PAGES_SYSTEM, /* as the system does by itself */
  WEIR_HUGE_PAGES_NEVER
} weir_huge_pages;

/* How writes to old objects are noticed; docs/barrier.md compares them. */
typedef enum weir_barrier {
  WEIR_BARRIER_AUTO, /* the best one that passes its self-test in this process */
  WEIR_BARRIER_ASYNC,
  WEIR_BARRIER_UFFD_THREAD,
  WEIR_BARRIER_UFFD_SIGBUS,
  WEIR_BARRIER_MPROTECT,
  WEIR_BARRIER_SOFT_DIRTY,
  WEIR_BARRIER_CARDS, /* the only one that needs weir_write_barrier */
  WEIR_BARRIER_ALWAYS_DIRTY
} weir_barrier;

/* Where the pages of a heap come from. */
typedef enum weir_arena {
  WEIR_ARENA_FRESH,     /* from the kernel, by itself, huge ones where it can */
  WEIR_ARENA_MISSING_WP /* by page faults that Weir answers, 256 KiB at a time: the classical set-up
                           of userfaultfd, for comparison; needs a barrier on userfaultfd */
} weir_arena;

/* Where WEIR_* environment variables exist for a field, they win; the README lists them. */
typedef struct weir_config {
  size_t minimum_bytes; /* by its growth a heap gets this large at least; default 24 MiB */
  size_t maximum_bytes; /* objects and holes between them; default: half of the machine's memory */
  double growth;        /* a full collection comes when what is old has grown by this factor since
                           the last one, sooner if it is short and cheap; above 1; default 1.75 */
  bool generations;     /* minor collections between the full ones; default true;
                           WEIR_GENERATIONS=0 */
  weir_barrier barrier; /* for minor collections; WEIR_BARRIER */
  weir_arena arena;     /* default FRESH; WEIR_ARENA */
  bool accept_efault;   /* AUTO may take a barrier under which system calls that write into old
                           objects fail with EFAULT; default false */
  uint64_t pause_target_ns; /* of minor collections: what they may take; default 2 ms */
  size_t nursery_bytes;     /* allocated between two minor collections; 0: as the target allows */
  unsigned markers; /* threads that mark, the collecting one included; 0: a core each, 16 at most */
  weir_huge_pages huge_pages;
  /* How a slot's word becomes an address: a word w refers to (w & slot_mask) << slot_shift; 0 and
   * what lies outside the heap refers to nothing. Default: ~0 and 0, plain pointers. */
  uintptr_t slot_mask;
  unsigned slot_shift;
  /* Words found by conservative scanning are masked by this first; default ~0. */
  uintptr_t conservative_mask;
  bool verify;        /* after each collection a second, independent trace; WEIR_VERIFY=1 */
  bool deterministic; /* no clock in any decision, one marker; WEIR_DETERMINISTIC=1 */
  unsigned stress;    /* collect at every n-th allocation; 0: off; WEIR_STRESS=n */
} weir_config;

void weir_config_init(weir_config* config); /* the defaults */

/* ---- Heaps -----------------------------------------------------------------------------------*/

/* `config` NULL: the defaults. Free with weir_heap_destroy. */
weir_status weir_heap_create(const weir_config* config, weir_heap** heap);
/* Pending and never-run finalizers are run first, in this thread, unless `run_finalizers` is false.
 * WEIR_BUSY while mutators are attached. */
weir_status weir_heap_destroy(weir_heap* heap, bool run_finalizers);
/* Both at run time; `maximum` below what is in use: WEIR_INVALID_ARGUMENT. */
weir_status weir_heap_set_limits(weir_heap* heap, size_t minimum_bytes, size_t maximum_bytes);
/* Gives memory of free blocks back to the system; returns how much. [collects] not. */
size_t weir_heap_trim(weir_heap* heap);
/* Called, with the heap unlocked, when an allocation of `bytes` does not fit after a full
 * collection. True: something was freed or the limits raised, try again. At most eight times for
 * one allocation, so that it never loops; what it allocates itself does not call it again. */
typedef bool (*weir_out_of_memory)(weir_mutator* mutator, size_t bytes, void* data);
void weir_heap_on_out_of_memory(weir_heap* heap, weir_out_of_memory handler, void* data);
/* Memory outside the heap that objects keep alive: counts towards when to collect. */
void weir_heap_external(weir_heap* heap, ptrdiff_t change);

/* ---- Kinds -----------------------------------------------------------------------------------*/

/* Built-in kinds, and what weir_kind_define returns: an opaque value, constant for a heap's life.
 */
typedef uint32_t weir_kind;
#define WEIR_KIND_LEAF ((weir_kind)0x100084u) /* no references */
#define WEIR_KIND_CONSERVATIVE \
  ((weir_kind)0x00088u)                       /* every word may be an address into any object */
#define WEIR_KIND_SLOTS ((weir_kind)0x0008cu) /* every word is a slot */

/* Passed to a trace callback, which visits every slot in the given part of the object. */
typedef struct weir_visitor weir_visitor;
/* Visits the slots of `object` that lie in [from, to), byte offsets into the object, multiples of
 * 8; a large object is traced in parts, and one of which a page was written only there. It reads
 * the object and nothing else of the heap, and must not allocate, lock what mutators lock, or call
 * Weir but for weir_visit*. */
typedef void (*weir_trace)(weir_visitor* visitor, void* object, size_t from, size_t to, void* data);

typedef enum weir_tracing {
  WEIR_TRACE_LEAF,
  WEIR_TRACE_CONSERVATIVE,
  WEIR_TRACE_SLOTS,
  WEIR_TRACE_BITMAP,
  WEIR_TRACE_CALLBACK
} weir_tracing;

typedef struct weir_kind_config {
  const char* name; /* for the log, images and errors; copied */
  weir_tracing tracing;
  const uint64_t* bitmap; /* BITMAP: bit i is set if word i is a slot; copied */
  size_t bitmap_words;    /* how many words of an object the bitmap describes; it repeats after
                             them, so that arrays of structures have one; 1 to 4096 */
  weir_trace trace;       /* CALLBACK */
  void* data;             /* for `trace` */
  bool reaches_off_heap;  /* `trace` follows memory outside the heap: never taken for clean */
  bool movable;           /* all references to it are precise slots: it may be moved later */
} weir_kind_config;

/* At most 120 for a heap. */
weir_status weir_kind_define(weir_heap* heap, const weir_kind_config* config, weir_kind* kind);
const char* weir_kind_name(weir_heap* heap, weir_kind kind); /* NULL: no such kind */

/* ---- Mutators --------------------------------------------------------------------------------*/

typedef enum weir_stop {
  WEIR_STOP_POLL,  /* the thread calls weir_poll often, and blocks only in blocking regions */
  WEIR_STOP_SIGNAL /* a real-time signal stops it wherever it stands; its stack is conservative */
} weir_stop;

typedef struct weir_mutator_config {
  weir_stop stop;
  bool conservative_stack; /* scan its stack and registers; always so with WEIR_STOP_SIGNAL */
  void* stack_base;        /* the hot end of what is scanned is found at each stop; this is the cold
                              one. NULL: that of the thread */
} weir_mutator_config;

/* `config` NULL: poll, conservative stack. The calling thread; it may attach to several heaps, and
 * to one heap more than once. A thread that ends attached is detached. */
weir_status weir_mutator_attach(weir_heap* heap, const weir_mutator_config* config,
                                weir_mutator** mutator);
weir_status weir_mutator_detach(weir_mutator* mutator);
weir_heap* weir_mutator_heap(weir_mutator* mutator);

/* Between the two the thread does not touch the heap, and counts as stopped: for system calls,
 * locks and sleep. They nest. A mutator may leave on another thread than it entered: that is how it
 * migrates. */
void weir_enter_blocking(weir_mutator* mutator);
void weir_leave_blocking(weir_mutator* mutator);

/* No collection begins in between; allocation grows the heap up to its maximum. They nest. */
void weir_no_collect_begin(weir_mutator* mutator);
void weir_no_collect_end(weir_mutator* mutator);

/* ---- Allocation ------------------------------------------------------------------------------*/

/* The layout is ABI, for compilers that emit the fast path themselves (docs/embedding.md). */
typedef struct weir_span {
  char* bump;  /* the next object starts here */
  char* limit; /* zeroed up to here */
} weir_span;
struct weir_mutator {
  weir_span spans[2];      /* 0: objects with references; 1: leaf objects */
  unsigned char* metadata; /* the byte of the granule at address a: metadata[a / 16] */
  uint32_t poll;           /* not 0: call weir_poll_slow soon. Written by other threads */
  uint32_t reserved;
  struct weir_frame* frames; /* see weir_frame */
  unsigned char* cards; /* the card of address a: cards[a >> WEIR_CARD_SHIFT]; NULL: the barrier
                           in use needs none */
};
#define WEIR_GRANULE 16u
#define WEIR_SMALL_MAX 8192u
#define WEIR_CARD_SHIFT 9 /* a card is 512 bytes */

/* [collects] Zeroed memory of `size` bytes rounded up to whole granules; 1 to 2^46. NULL: out of
 * memory. */
void* weir_allocate_slow(weir_mutator* mutator, weir_kind kind, size_t size);

static inline void* weir_allocate(weir_mutator* mutator, weir_kind kind, size_t size) {
  /* The number of a defined kind is kept for the second granule, so such objects have two. */
  if (size - 1 < WEIR_SMALL_MAX && (size > WEIR_GRANULE || (kind & 0xff00u) == 0)) {
    const size_t rounded = (size + (WEIR_GRANULE - 1)) & ~(size_t)(WEIR_GRANULE - 1);
    /* The upper half of a kind is the offset of its span. */
    weir_span* span = (weir_span*)(void*)((char*)mutator->spans + (kind >> 16));
    char* object = span->bump;
    const uintptr_t end = (uintptr_t)object + rounded;
    if (end <= (uintptr_t)span->limit) {
      const uint16_t start_and_kind = (uint16_t)kind;
      /* A collection that a signal begins here relies on this order: bump, metadata, contents. */
      span->bump = (char*)end;
      __atomic_signal_fence(__ATOMIC_SEQ_CST);
      /* Of the object's first granule, by way of its end, which no one needs any more: a register
       * less. */
      unsigned char* byte = mutator->metadata + end / WEIR_GRANULE - rounded / WEIR_GRANULE;
      if (size > WEIR_GRANULE)
        __builtin_memcpy(byte, &start_and_kind, 2);
      else
        *byte = (unsigned char)start_and_kind;
      __atomic_signal_fence(__ATOMIC_SEQ_CST);
      return object;
    }
  }
  return weir_allocate_slow(mutator, kind, size);
}

/* [collects] The same, aligned to `alignment`, a power of two up to 2 MiB. */
void* weir_allocate_aligned(weir_mutator* mutator, weir_kind kind, size_t size, size_t alignment);
/* [collects] Lives until weir_free, referred to or not; what it refers to lives, too. */
void* weir_allocate_uncollectable(weir_mutator* mutator, weir_kind kind, size_t size);
/* Of an uncollectable object; WEIR_INVALID_ARGUMENT for any other address. */
weir_status weir_free(weir_mutator* mutator, void* object);

/* For memory that the program manages itself, as the bodies of growing arrays. Nothing refers to
 * the object any more, it is not uncollectable, and it has no weak reference, ephemeron, finalizer
 * or pin: its memory need not wait for a collection to find that out. Any mutator may free what any
 * other allocated. The pages of a large object can be used again at once, and so can what was
 * allocated last; any other with the next look at its block. One of an image stays, and one in a
 * block that another mutator allocates into waits for a collection. WEIR_INVALID_ARGUMENT: no
 * object starts there. */
weir_status weir_free_early(weir_mutator* mutator, void* object);
/* [collects] The object with room for `size` bytes, not more than twice as much where memory is to
 * be had: as it is, or a new one of its kind with its contents and the old one freed early.
 * Alignment is not kept, and the caller still refers to the object. NULL: out of memory, `size` is
 * 0 or absurd, or no object starts there; nothing has changed. */
void* weir_reallocate(weir_mutator* mutator, void* object, size_t size);

/* ---- Stopping --------------------------------------------------------------------------------*/

/* [collects] Waits out a collection that another mutator is doing, or stress mode does one. */
void weir_poll_slow(weir_mutator* mutator);
static inline void weir_poll(weir_mutator* mutator) {
  if (__atomic_load_n(&mutator->poll, __ATOMIC_RELAXED) != 0) weir_poll_slow(mutator);
}

/* [collects] A full collection, now. WEIR_BUSY between weir_no_collect_begin and _end. */
weir_status weir_collect(weir_mutator* mutator);
/* [collects] The same, a minor one: what survived one before is not looked at. A full one where the
 * heap has no generations, or does without them for now. */
weir_status weir_collect_minor(weir_mutator* mutator);

/* The program wrote a reference to `slot`, a word inside `object`. Needed if WEIR_BARRIER is
 * `cards`; with any other barrier it costs a load and a branch, and may be left out. Store first,
 * then call this, with no [collects] in between: a mark that comes before its store may be taken,
 * and the store is then seen by nobody. */
static inline void weir_write_barrier(weir_mutator* mutator, void* object, void* slot) {
  (void)object;
  unsigned char* cards = mutator->cards;
  if (cards != NULL)
    __atomic_store_n(cards + ((uintptr_t)slot >> WEIR_CARD_SHIFT), (unsigned char)1,
                     __ATOMIC_RELEASE);
}

/* ---- Slots and visitors ----------------------------------------------------------------------*/

typedef struct weir_edge {
  void* slot;
  void* object;
} weir_edge;
struct weir_visitor {
  uintptr_t heap_begin, heap_size; /* where objects are */
  uintptr_t slot_mask, slot_shift; /* of the configuration */
  unsigned count, capacity;        /* of `edges`, which weir_visitor_flush empties */
  weir_edge* edges;
  void* owner; /* Weir's own */
};
void weir_visitor_flush(weir_visitor* visitor);

/* `slot` holds a reference to `object` (its start, or any address inside), however encoded. */
static inline void weir_visit_decoded(weir_visitor* visitor, void* slot, void* object) {
  if ((uintptr_t)object - visitor->heap_begin >= visitor->heap_size) return;
  visitor->edges[visitor->count].slot = slot;
  visitor->edges[visitor->count].object = object;
  if (++visitor->count == visitor->capacity) weir_visitor_flush(visitor);
}
/* A slot whose word is encoded as the configuration says. */
static inline void weir_visit(weir_visitor* visitor, void* slot) {
  uintptr_t word;
  __builtin_memcpy(&word, slot, sizeof word);
  weir_visit_decoded(visitor, slot, (void*)((word & visitor->slot_mask) << visitor->slot_shift));
}
/* Any word in [begin, end) may be an address into any object. */
void weir_visit_conservatively(weir_visitor* visitor, const void* begin, const void* end);

/* ---- Roots -----------------------------------------------------------------------------------*/

/* Slots outside the heap, `count` from `first` on, encoded as slots in objects are. They are read
 * while all mutators are stopped. */
weir_status weir_roots_add(weir_heap* heap, void* first, size_t count);
/* Memory outside the heap that is scanned conservatively. */
weir_status weir_roots_add_conservative(weir_heap* heap, const void* begin, size_t bytes);
/* By the first address given when they were added. */
weir_status weir_roots_remove(weir_heap* heap, const void* first);
/* Visits roots that the embedder keeps; called with all mutators stopped, as a trace callback is.
 */
typedef void (*weir_roots_callback)(weir_visitor* visitor, void* data);
weir_status weir_roots_add_callback(weir_heap* heap, weir_roots_callback callback, void* data);
weir_status weir_roots_remove_callback(weir_heap* heap, weir_roots_callback callback, void* data);
/* The same for one mutator, until it is detached. */
weir_status weir_mutator_roots_callback(weir_mutator* mutator, weir_roots_callback callback,
                                        void* data);
/* The writable data of the program and of all libraries loaded at each collection, conservatively.
 * By the dynamic loader's list, so dlopen'ed ones are found, too; not thread-local variables, nor
 * what dlmopen loads into another namespace. A thread that is not attached unloads nothing while
 * heaps with this on are collected. */
weir_status weir_roots_static_data(weir_heap* heap, bool scan);

/* A scope's slots: link it to mutator->frames on entry, unlink it on exit, in stack order. */
typedef struct weir_frame {
  struct weir_frame* previous;
  size_t count;
  void** slots;
} weir_frame;
/* GCC at -O1 takes this for a mistake: a frame on the stack is what it is for. */
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdangling-pointer"
#endif
static inline void weir_frame_enter(weir_mutator* mutator, weir_frame* frame) {
  frame->previous = mutator->frames;
  mutator->frames = frame;
}
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
#pragma GCC diagnostic pop
#endif
static inline void weir_frame_leave(weir_mutator* mutator, weir_frame* frame) {
  mutator->frames = frame->previous;
}

/* Stacks of fibers and green threads, scanned conservatively. One that is not running is scanned
 * from where it was left up to its end. */
typedef struct weir_stack weir_stack;
weir_status weir_stack_register(weir_mutator* mutator, void* low, size_t bytes, weir_stack** stack);
weir_status weir_stack_unregister(weir_mutator* mutator, weir_stack* stack);
/* Right before the program switches from the stack it runs on to `to` (NULL: the thread's own). The
 * registers that the switch saves are on the old stack or in `*registers` (`bytes`; may be NULL).
 */
void weir_stack_switch(weir_mutator* mutator, weir_stack* to, const void* registers, size_t bytes);

/* The object that [begin, begin + bytes) lies in is kept and never moved, until as many
 * weir_unpin: for memory that the kernel or a device writes to. */
weir_status weir_pin(weir_heap* heap, const void* begin, size_t bytes);
weir_status weir_unpin(weir_heap* heap, const void* begin, size_t bytes);

/* ---- Weak references, ephemerons, finalizers --------------------------------------------------*/

/* Cells outside the heap, which belong to the caller until destroyed. A weak cell is cleared in the
 * collection that finds its object dead, before finalizers run. */
typedef struct weir_weak weir_weak;
weir_status weir_weak_create(weir_mutator* mutator, void* object, weir_weak** weak);
void* weir_weak_get(weir_mutator* mutator, weir_weak* weak); /* NULL: cleared */
void weir_weak_destroy(weir_mutator* mutator, weir_weak* weak);

/* The value lives as long as the key does and the cell exists; then both are NULL. */
typedef struct weir_ephemeron weir_ephemeron;
weir_status weir_ephemeron_create(weir_mutator* mutator, void* key, void* value,
                                  weir_ephemeron** ephemeron);
void* weir_ephemeron_key(weir_mutator* mutator, weir_ephemeron* ephemeron);
void* weir_ephemeron_value(weir_mutator* mutator, weir_ephemeron* ephemeron);
void weir_ephemeron_destroy(weir_mutator* mutator, weir_ephemeron* ephemeron);

/* Runs once, after a collection found that only finalizers could reach the object; the object and
 * what it refers to are whole, and may be made reachable again. An object has at most one; NULL
 * takes it away. Objects found in one collection are finalized in the order of registration. */
typedef void (*weir_finalizer)(weir_mutator* mutator, void* object, void* data);
weir_status weir_finalizer_set(weir_mutator* mutator, void* object, weir_finalizer finalizer,
                               void* data);
/* [collects] Runs up to `most` of those that are due; returns how many. A finalizer may allocate
 * but not call weir_collect. */
size_t weir_finalizers_run(weir_mutator* mutator, size_t most);
size_t weir_finalizers_due(weir_heap* heap);
/* A thread of Weir's runs them as they become due. */
weir_status weir_finalizer_thread(weir_heap* heap, bool on);

/* The same number for the object's whole life; objects rarely share one. */
uint64_t weir_identity_hash(weir_heap* heap, const void* object);

/* ---- Images ----------------------------------------------------------------------------------*/

/* A heap on disk. Opened again it costs what is touched of it: its pages come, a cluster at a time,
 * when they are. Its objects live as long as the heap that it is open in, whatever refers to them;
 * they are written and refer to others like any. docs/image.md has the rest. */
typedef struct weir_image weir_image;

/* Memory outside the heap whose address differs from process to process: slots that point into it
 * are saved by its name. */
typedef struct weir_image_name {
  const char* name;
  const void* begin;
  size_t bytes;
} weir_image_name;

typedef struct weir_image_root {
  const char* name;
  void* object; /* its start, or NULL */
} weir_image_root;

typedef enum weir_codec { WEIR_CODEC_ZLIB, WEIR_CODEC_ZSTD, WEIR_CODEC_NONE } weir_codec;

/* `done` of `all` parts, which may be 0; both are the same at the end of a save that succeeds,
 * only. By the thread that saves, which holds the heap's locks, the others being stopped wherever
 * they stand: it does what a signal handler may do, and nothing with the heap. */
typedef void (*weir_progress)(uint64_t done, uint64_t all, void* data);

typedef struct weir_image_save_config {
  const weir_image_root* roots; /* what they reach is saved */
  size_t root_count;
  const weir_image_name* names;
  size_t name_count;
  /* Slots that point into the program or a library that is loaded are saved by its build id and an
   * offset. What slots hold besides, numbers with a tag say, is saved as it is. Default true. */
  bool modules;
  const void* user_data; /* the embedder's own; at most 32 MiB */
  size_t user_bytes;
  weir_codec codec; /* default ZLIB */
  /* How much comes at a touch, in bytes: a power of two from the system's page to 65536. Smaller
   * ones bring in less that nobody asked for, and compress worse. Default 0: as the first image has
   * them that is open in the heap, or else 65536. Images that have others are read and compressed
   * anew. */
  size_t cluster_bytes;
  unsigned threads; /* at most as many as mark; 0: those */
  /* Only what the roots reach, of open images too, and the objects one behind the other, in one
   * piece: the smallest file, but all of the images is read, by one thread. Objects have other
   * identity hashes in it, and no alignment above 16 bytes. WEIR_UNSUPPORTED: some are traced
   * conservatively, or by a callback with a coding of its own, and cannot be moved. */
  bool compact;
  weir_progress progress; /* NULL: nobody wants to know */
  void* progress_data;
} weir_image_save_config;
void weir_image_save_config_init(weir_image_save_config* config);

/* [collects] Writes what the named roots reach, and all of the images that are open in the heap, to
 * a file beside `path`, which gets that name when it is whole and on disk. Mutators are stopped
 * meanwhile. Not saved: weak references, ephemerons, finalizers, pins; an object of a kind that
 * reaches outside the heap is an error. `config` NULL: no roots. */
weir_status weir_image_save(weir_mutator* mutator, const char* path,
                            const weir_image_save_config* config);

typedef enum weir_image_filling {
  WEIR_IMAGE_LAZY,         /* what is touched, when it is */
  WEIR_IMAGE_EAGER,        /* everything, before the call returns; by all cores */
  WEIR_IMAGE_EAGER_VERIFY, /* the same; damage anywhere is an error */
  WEIR_IMAGE_BACKGROUND    /* by threads, besides what is touched */
} weir_image_filling;

typedef struct weir_image_open_config {
  weir_image_filling filling;
  const weir_image_name* names; /* those that it was saved with */
  size_t name_count;
  const char* hot_list; /* what weir_image_hot_list wrote in an earlier run: threads bring these
                           clusters in, before it does others. NULL, or no such file: none */
} weir_image_open_config;

/* Opens it in a heap that has its kinds, by name, and encodes slots alike: in about a millisecond,
 * at the address that it was saved at, or where there is room; with conservative objects in it at
 * its own address only. Any thread. `config` NULL: lazy. The image belongs to the heap. A damaged
 * part is found when it is touched: SIGBUS, after a sentence on stderr. */
weir_status weir_image_open(weir_heap* heap, const char* path, const weir_image_open_config* config,
                            weir_image** image);
/* WEIR_NOT_FOUND: no root has this name. */
weir_status weir_image_root_get(weir_image* image, const char* name, void** object);
/* Valid as long as the heap. */
const void* weir_image_user_data(weir_image* image, size_t* bytes);

/* Writes to `path` which clusters were brought in because they were touched, in that order: for the
 * next start of the same image. */
weir_status weir_image_hot_list(weir_image* image, const char* path);

/* Brings in what of [begin, begin + bytes) lies in images and is not there yet: for buffers that
 * are passed to system calls, where the kernel gets no page by itself (docs/image.md says when).
 * WEIR_INVALID_ARGUMENT: some of it is damaged. */
weir_status weir_prefault(weir_heap* heap, const void* begin, size_t bytes);

typedef struct weir_image_statistics {
  uint64_t cluster_bytes; /* of objects, in each */
  uint64_t clusters;
  uint64_t filled_clusters; /* that are in memory */
  uint64_t damaged_clusters;
  uint64_t read_bytes;    /* of the file, for them */
  uint64_t escaped_pages; /* of the image, that refer to objects outside of it */
  bool at_saved_address;
} weir_image_statistics;
void weir_image_get_statistics(weir_image* image, weir_image_statistics* statistics);

/* ---- Looking into the heap -------------------------------------------------------------------*/

typedef struct weir_object {
  void* start;
  size_t size; /* whole granules, or whole pages for a large object */
  weir_kind kind;
} weir_object;
/* The object that `address` lies in. WEIR_NOT_FOUND: free memory, or no heap memory. What is found
 * may be garbage that no collection has seen yet. */
weir_status weir_object_at(weir_mutator* mutator, const void* address, weir_object* object);

/* [collects] Collects, then calls `visit` for each live object, all other mutators stopped; it must
 * not allocate or call Weir. False ends the walk. Objects of images are left out. */
typedef bool (*weir_walk_visit)(const weir_object* object, void* data);
weir_status weir_heap_walk(weir_mutator* mutator, weir_walk_visit visit, void* data);

/* [collects] A shortest chain of references from a root to the object: called once for each step,
 * the root first. WEIR_NOT_FOUND: nothing keeps it. */
typedef struct weir_path_step {
  const char* root; /* what kind of root, for the first step; else NULL */
  const void* slot; /* the word that refers to `object` */
  weir_object object;
} weir_path_step;
typedef void (*weir_path_visit)(const weir_path_step* step, void* data);
weir_status weir_path_to(weir_mutator* mutator, const void* object, weir_path_visit visit,
                         void* data);

/* What a block of memory is used for: 64 KiB, the unit in which mutators get memory. */
typedef enum weir_block_state {
  WEIR_BLOCK_FREE,
  WEIR_BLOCK_OWNED,   /* a mutator allocates into it */
  WEIR_BLOCK_FILLED,  /* allocated into since the last collection */
  WEIR_BLOCK_UNSWEPT, /* has survivors; its holes are still to be found */
  WEIR_BLOCK_SWEPT,   /* has survivors, and known holes */
  WEIR_BLOCK_LARGE    /* objects above WEIR_SMALL_MAX */
} weir_block_state;
typedef struct weir_block {
  void* start;
  weir_block_state state;
  bool leaf;           /* of small objects without references */
  bool young;          /* allocated into since the last collection, or soon to be again */
  bool armed;          /* old, and a write to some page of it is recorded */
  uint32_t used_bytes; /* by objects; after a collection, those that live. OWNED: all of it */
} weir_block;
/* Calls `visit` for each block that was ever used, in address order. Stops nobody: the blocks of
 * other mutators go on changing. `visit` must not allocate or call Weir. */
typedef void (*weir_block_visit)(const weir_block* block, void* data);
void weir_heap_blocks(weir_mutator* mutator, weir_block_visit visit, void* data);

/* ---- Statistics ------------------------------------------------------------------------------*/

typedef struct weir_statistics {
  uint64_t collections; /* the sum of the next two */
  uint64_t minor_collections, full_collections;
  uint64_t collection_ns; /* from stop request to last resume, summed */
  uint64_t pause_ns_p50, pause_ns_p99, pause_ns_max;
  uint64_t minor_pause_ns_p50, minor_pause_ns_p99, minor_pause_ns_max;
  uint64_t full_pause_ns_p50, full_pause_ns_p99, full_pause_ns_max;
  uint64_t allocated_bytes; /* since the heap exists; exact at the end of a collection */
  uint64_t live_bytes;      /* found by the last collection */
  uint64_t freed_bytes;     /* by the last collection */
  uint64_t heap_bytes;      /* in blocks with objects; those kept for reuse are not counted */
  uint64_t metadata_bytes;  /* beside them */
  uint64_t external_bytes;
  uint64_t trigger_bytes; /* the next collection comes when this much is in use */
  uint64_t nursery_bytes; /* what the last collection left to allocate until the next */
  /* Of old memory, as of the last collection; cards of 512 bytes with the barrier `cards`. */
  uint64_t pages_armed; /* their next first write is recorded */
  uint64_t pages_dirty; /* that collection found them written */
  uint64_t pages_hot;   /* not armed, since they are written all the time */
  uint64_t traps;       /* first writes that a handler answered, since the heap exists; 0 where the
                           kernel resolves them alone */
  uint64_t weak_cells, ephemerons, finalizers, finalizers_due;
  uint32_t mutators, markers;
} weir_statistics;
void weir_heap_statistics(weir_heap* heap, weir_statistics* statistics);

/* The write barrier in use: "async", "mprotect", ...; "none" in a heap without generations. Valid
 * as long as the heap. */
const char* weir_heap_barrier(weir_heap* heap);
/* Calls `visit` for each better barrier that was refused, best first, with the reason; then for
 * each trouble of the one in use, with its name. Both strings are valid during the call only. */
typedef void (*weir_barrier_visit)(const char* barrier, const char* reason, void* data);
void weir_heap_barrier_reasons(weir_heap* heap, weir_barrier_visit visit, void* data);

#ifdef __cplusplus
}
#endif
#endif
