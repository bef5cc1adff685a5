// One collected heap: its memory, its mutators, what keeps objects alive, and when it is collected.
// The C API is a thin layer over this.
//
// Two mutators may find at the same time that a collection is due: one of them does it, the others
// wait, and look again. What happens in a collection is in collection.cpp, when it comes and which
// one in pacing.cpp.
#pragma once

#include <weir/weir.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <weir/error.hpp>

#include "runtime/collector/ephemerons.hpp"
#include "runtime/collector/finalizer_thread.hpp"
#include "runtime/collector/finalizers.hpp"
#include "runtime/collector/images.hpp"
#include "runtime/collector/mark_team.hpp"
#include "runtime/collector/mark_work.hpp"
#include "runtime/collector/marker.hpp"
#include "runtime/collector/mutator.hpp"
#include "runtime/collector/old_memory.hpp"
#include "runtime/collector/pacing.hpp"
#include "runtime/collector/roots.hpp"
#include "runtime/collector/weak_cells.hpp"
#include "runtime/heap/space.hpp"
#include "runtime/observe/event_stream.hpp"
#include "runtime/threads/world.hpp"

struct weir_heap {};

namespace weir::collector {

struct SaveOptions;

class Heap final : public weir_heap, private threads::WorldOwner {
 public:
  static Expected<std::unique_ptr<Heap>> create(const weir_config& config);
  ~Heap();
  static Heap& of(weir_heap* heap) { return *static_cast<Heap*>(heap); }

  // -- Mutators --
  Expected<Mutator*> attach(const weir_mutator_config& config);
  Expected<> detach(Mutator& mutator);
  std::size_t mutator_count() const { return world_.size(); }

  // -- Allocation, by a mutator --
  // nullptr: out of memory, after everything was tried.
  void* allocate(Mutator& mutator, heap::KindTag kind, std::size_t bytes, std::size_t alignment);

  // -- Collections --
  // Errors: busy (no_collect, or inside a finalizer or a callback).
  Expected<> collect(Mutator& mutator, Scope scope);
  void poll(Mutator& mutator);
  // The same; with `look`, which is called at its end: the world is stopped, everything swept, and
  // only live objects are left.
  Expected<> look_around(Mutator& mutator, os::FunctionRef<void()> look);
  std::size_t run_finalizers(Mutator& mutator, std::size_t most);

  // -- Limits --
  Expected<> set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes);
  std::size_t trim();
  void on_out_of_memory(weir_out_of_memory handler, void* data);
  void add_external(std::ptrdiff_t change);
  weir_statistics statistics();
  // nullptr: no generations.
  const barrier::Barrier* barrier() const { return barrier_.get(); }
  // What mutators mark; nullptr: nothing. Beside a barrier that needs none, to check it.
  unsigned char* cards() const {
    return keeps_cards_ ? space_->region().cards().biased() : nullptr;
  }
  bool checks_cards() const { return keeps_cards_ && barrier_->kind() != BarrierKind::cards; }
  // Why better ones were not taken.
  const std::vector<BarrierRefusal>& barrier_refusals() const { return barrier_refusals_; }

  // The object at an address. Stops the world where somebody else is allocating.
  std::optional<heap::Found> find(Mutator& mutator, Address address);
  std::optional<heap::Found> find(Address address);  // any thread, inside the runtime
  // Of an object that nothing refers to. False: none starts there. Inside the runtime.
  bool free_early(Mutator& mutator, Address object);

  // -- Images --
  Expected<weir_image*> open_image(const std::string& path, const OpenOptions& options);
  Expected<> save_image(Mutator& mutator, const std::string& path, const SaveOptions& options);
  Images& images() { return images_; }
  // Whether an object starts there, in the region or in an image. Any thread, inside the runtime.
  bool is_object(Address start);
  // A number that no two objects of the heap share, and that objects of an image keep.
  std::uint64_t identity_of(Address object) const;

  heap::Space& space() { return *space_; }
  threads::World& world() { return world_; }
  Roots& roots() { return roots_; }
  WeakCells& weak_cells() { return weak_cells_; }
  Ephemerons& ephemerons() { return ephemerons_; }
  Finalizers& finalizers() { return finalizers_; }
  FinalizerThread& finalizer_thread() { return finalizer_thread_; }
  // World stopped.
  void scan_roots(RootVisitor& visitor, Scope scope);
  const WordFormat& format() const { return format_; }
  const weir_config& config() const { return config_; }
  // World stopped.
  template <class Visit>
  void for_each_mutator(Visit&& visit) {
    for (Mutator* mutator : mutators_)
      if (mutator->is_attached()) visit(*mutator);
  }

 private:
  friend class Collection;
  friend class Forks;
  friend class Images;
  friend class SaveLayout;
  friend class Saving;

  explicit Heap(const weir_config& config);
  Expected<> set_up_generations();
  void on_thread_exit(threads::MutatorThread& thread) noexcept override;

  tl::expected<Address, heap::Refusal> try_to_allocate(Mutator& mutator, heap::KindTag kind,
                                                       std::size_t bytes, std::size_t alignment,
                                                       bool whatever_the_budget);
  bool may_collect(const Mutator& mutator) const;
  Expected<> may_collect_now(const Mutator& mutator) const;
  // False: another mutator did it meanwhile.
  bool collect_now(Scope scope, observe::Reason reason,
                   const os::FunctionRef<void()>* look = nullptr);
  void collect_for_stress();
  // With the static data as it is listed then.
  void stop_world();
  // Takes cycle_lock_. False: another had it, and gave it back; it is not taken.
  bool wait_for_turn();
  void set_budget();
  std::size_t external_bytes() const {
    return static_cast<std::size_t>(std::max<std::int64_t>(0, external_.load()));
  }
  bool ask_for_memory(Mutator& mutator, std::size_t bytes);

  weir_config config_;
  const WordFormat format_;
  std::unique_ptr<barrier::Barrier> barrier_;  // watches the space: outlives it
  std::vector<BarrierRefusal> barrier_refusals_;
  std::unique_ptr<heap::Space> space_;
  std::unique_ptr<observe::EventStream> events_;
  threads::World world_{this};
  MarkTeam team_;
  MarkPool pool_;
  Roots roots_;
  WeakCells weak_cells_;
  Ephemerons ephemerons_;
  Finalizers finalizers_;
  FinalizerThread finalizer_thread_;
  Images images_{*this};
  std::uint64_t identity_ = 0;  // of the region's first byte

  // Whoever stops the world holds it, from before the stop until everything about it is told.
  std::mutex cycle_lock_;
  // The next ones. Held by no mutator while it waits for a stop, or while it calls malloc: a thread
  // that a signal stopped may hold malloc's lock.
  std::mutex lock_;
  os::OffHeapVector<Mutator*> mutators_;  // owned; the latest detached ones among them
  os::OffHeapVector<Mutator*> detached_;  // oldest first
  weir_out_of_memory out_of_memory_ = nullptr;
  void* out_of_memory_data_ = nullptr;
  std::size_t allocated_ = 0;  // bytes, by mutators, as of the last collection
  std::size_t live_ = 0;       // marked, as of the last collection
  std::size_t trigger_ = 0;
  Pacing pacing_;
  std::uint64_t process_ns_ = 0;  // CPU time of the process at the end of the last collection
  OldMemory old_memory_;
  // Old objects that reach memory outside the heap: no barrier watches that.
  os::OffHeapVector<Address> reachers_;
  std::size_t last_promoted_ = 2 << 20;  // bytes, by the last cycle; half of the first nursery
  Heap* next_heap_ = nullptr;            // of Forks
  std::atomic<unsigned> stress_cycles_{0};
  bool keeps_cards_ = false;
  std::atomic<std::int64_t> external_{0};
};

}  // namespace weir::collector
