#include "runtime/collector/heap.hpp"

#include <algorithm>
#include <random>

#include "runtime/barrier/selection.hpp"
#include "runtime/collector/collection.hpp"
#include "runtime/collector/cycle_statistics.hpp"
#include "runtime/collector/forks.hpp"
#include "runtime/collector/saving.hpp"
#include "runtime/collector/settings.hpp"
#include "runtime/observe/clock.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::collector {
namespace {

using heap::Refusal;
using Runtime = threads::MutatorThread::Runtime;
using ScannedFromEntry = threads::MutatorThread::ScannedFromEntry;
using Section = threads::HostThread::Section;  // of any thread, a mutator's or not

// In the poll word: every poll takes the slow path.
constexpr std::uint32_t kPollStress = threads::kPollStop << 1;

// The latest mutators that were detached stay, so that a use after it is seen for what it is.
constexpr std::size_t kKept = 64;

// Address space is for nothing; limits may be raised up to what was reserved.
constexpr std::size_t kLeastReserved = std::size_t{64} << 30;

std::size_t to_reserve(std::size_t maximum) {
  return std::max(maximum * 2, kLeastReserved);  // twice: room for holes between large objects
}

std::optional<BarrierKind> barrier_kind(weir_barrier wanted) {
  if (wanted == WEIR_BARRIER_AUTO) return std::nullopt;
  return kBarrierKinds[static_cast<std::size_t>(wanted) - 1];
}

observe::CycleKind cycle_kind(Scope scope) {
  return scope == Scope::all ? observe::CycleKind::full : observe::CycleKind::minor;
}

bool is_small(std::size_t bytes, std::size_t alignment) {
  return bytes + alignment <= heap::kSmallMax ||
         (bytes <= heap::kSmallMax && alignment <= heap::kGranuleBytes);
}

os::HugePages huge_pages(weir_huge_pages wanted) {
  switch (wanted) {
    case WEIR_HUGE_PAGES_PREFER:
      return os::HugePages::prefer;
    case WEIR_HUGE_PAGES_SYSTEM:
      return os::HugePages::system;
    case WEIR_HUGE_PAGES_NEVER:
      return os::HugePages::never;
  }
  return os::HugePages::system;
}

}  // namespace

Heap::Heap(const weir_config& config)
    : config_(config),
      format_{config.slot_mask, config.slot_shift, config.conservative_mask},
      team_(config.markers),
      finalizer_thread_(*this),
      pacing_(config) {}

Expected<> Heap::set_up_generations() {
  auto selection = barrier::select_barrier({.kind = barrier_kind(config_.barrier),
                                            .delivery = {},
                                            .accept_efault = config_.accept_efault,
                                            .writers_are_stopped = true,
                                            .cards = space_->region().cards()});
  if (!selection) return Unexpected(selection.error());
  barrier_ = std::move(selection->barrier);
  barrier_refusals_ = std::move(selection->refusals);
  keeps_cards_ = barrier_->kind() == BarrierKind::cards ||
                 (config_.verify && space_->region().cards().cards != nullptr);
  if (keeps_cards_)
    if (auto kept = space_->keep_cards(); !kept) return kept;
  if (auto watched = space_->watch(*barrier_, !config_.deterministic); !watched) return watched;
  if (config_.arena == WEIR_ARENA_FRESH) return {};
  if (barrier_->server() == nullptr)
    return fail(ErrorCode::unsupported, "configuring a heap",
                "arena missing-wp needs a barrier on userfaultfd: async, uffd-thread, uffd-sigbus",
                {}, "Take arena fresh, or see `weir doctor` for what such a barrier needs");
  return space_->fill_by(*barrier_->server());
}

Expected<std::unique_ptr<Heap>> Heap::create(const weir_config& given) {
  const auto config = checked_config(given);
  if (!config) return Unexpected(config.error());
  if (auto ready = os::off_heap_ready(); !ready) return Unexpected(ready.error());
  std::unique_ptr<Heap> heap(new Heap(*config));
  heap::Space::Options room{.maximum = config->maximum_bytes,
                            .reserved = to_reserve(config->maximum_bytes),
                            .huge = huge_pages(config->huge_pages),
                            .poison = config->verify || config->stress != 0};
  auto space = heap::Space::create(room);
  if (!space) {  // a limit of address space, Valgrind
    room.reserved = config->maximum_bytes;
    space = heap::Space::create(room);
  }
  if (!space) return Unexpected(space.error());
  heap->space_ = std::move(*space);
  if (config->generations)
    if (auto done = heap->set_up_generations(); !done) return Unexpected(done.error());
  auto options = observe::observe_options_from_environment();
  if (!options) return Unexpected(options.error());
  auto events = observe::EventStream::create(config->markers, *options);
  if (!events) return Unexpected(events.error());
  heap->events_ = std::move(*events);
  heap->set_budget();
  if (!config->deterministic) {
    std::random_device random;
    heap->identity_ = std::uint64_t{random()} << 32 | random();
  }
  Forks::add(*heap);
  return heap;
}

Heap::~Heap() {
  Forks::remove(*this);
  finalizer_thread_.stop();
  for (Mutator* mutator : mutators_) delete mutator;
}

// ---- Mutators -----------------------------------------------------------------------------------

Expected<Mutator*> Heap::attach(const weir_mutator_config& config) {
  if (stored_value(config.stop) > WEIR_STOP_SIGNAL)
    return fail(ErrorCode::invalid_argument, "attaching a mutator",
                "`stop` is WEIR_STOP_POLL or WEIR_STOP_SIGNAL");
  if (is_tracing()) return fail(ErrorCode::busy, "attaching a mutator", "inside a trace callback");
  auto mutator = std::make_unique<Mutator>(*this, config_.stress != 0);
  mutator->until_stress = config_.stress;
  if (config_.stress == 1) mutator->poll = kPollStress;
  auto events = events_->add_mutator();
  if (!events) return Unexpected(events.error());
  mutator->events = std::move(*events);

  const threads::ThreadOptions options{
      .stop = config.stop == WEIR_STOP_SIGNAL ? threads::StopMode::signal : threads::StopMode::poll,
      .conservative_stack = config.conservative_stack || config.stop == WEIR_STOP_SIGNAL,
      .stack_base = Address(config.stack_base)};
  if (auto done = world_.attach(mutator->thread(), options); !done) return Unexpected(done.error());
  bool is_known = false;
  {
    const Runtime runtime(mutator->thread());
    const std::lock_guard guard(lock_);
    // Room for its detaching, too, which cannot fail.
    is_known = detached_.reserve(kKept + 1) && mutators_.push_back(mutator.get());
  }
  if (is_known) return mutator.release();
  world_.detach(mutator->thread());
  return fail(ErrorCode::out_of_memory, "attaching a mutator");
}

Expected<> Heap::detach(Mutator& mutator) {
  if (is_tracing() || mutator.finalizing != 0)
    return fail(ErrorCode::busy, "detaching a mutator", "inside a callback of Weir's");
  {
    const Runtime runtime(mutator.thread());
    mutator.give_back_spans();
    const std::lock_guard guard(lock_);
    allocated_ += mutator.take_allocated();
  }
  world_.detach(mutator.thread());
  mutator.poll = 0;
  mutator.events.reset();
  std::unique_ptr<Mutator> oldest;
  const std::lock_guard guard(lock_);
  if (!detached_.push_back(&mutator)) os::last_words("no memory to detach a mutator");
  if (detached_.size() <= kKept) return {};
  oldest.reset(detached_[0]);
  mutators_.erase(std::ranges::find(mutators_, oldest.get()));
  detached_.erase(detached_.begin());
  return {};
}

void Heap::on_thread_exit(threads::MutatorThread& thread) noexcept {
  Mutator* ending = nullptr;
  {
    const Runtime runtime(thread);
    const std::lock_guard guard(lock_);
    for (Mutator* mutator : mutators_)
      if (&mutator->thread() == &thread) ending = mutator;
  }
  if (ending == nullptr) return;
  ending->finalizing = 0;
  (void)detach(*ending);
}

void Heap::scan_roots(RootVisitor& visitor, Scope scope) {
  roots_.scan(visitor, scope);
  finalizers_.scan_roots(visitor);
  for_each_mutator([&visitor](Mutator& mutator) { mutator.scan_roots(visitor); });
}

// ---- Allocation ---------------------------------------------------------------------------------

tl::expected<Address, Refusal> Heap::try_to_allocate(Mutator& mutator, heap::KindTag kind,
                                                     std::size_t bytes, std::size_t alignment,
                                                     bool whatever_the_budget) {
  if (is_small(bytes, alignment))
    return mutator.allocate(bytes, alignment, kind, whatever_the_budget);
  return space_->allocate_large(bytes, alignment, kind, whatever_the_budget);
}

bool Heap::may_collect(const Mutator& mutator) const {
  return mutator.no_collect == 0 && !is_tracing();
}

bool Heap::ask_for_memory(Mutator& mutator, std::size_t bytes) {
  if (mutator.is_asking) return false;  // what the handler itself allocates
  weir_out_of_memory handler = nullptr;
  void* data = nullptr;
  {
    const Runtime runtime(mutator.thread());
    const std::lock_guard guard(lock_);
    handler = out_of_memory_;
    data = out_of_memory_data_;
  }
  mutator.events->instant(observe::Instant::out_of_memory, bytes);
  if (handler == nullptr) return false;
  mutator.is_asking = true;
  const bool has_freed = handler(&mutator, bytes, data);
  mutator.is_asking = false;
  return has_freed;
}

void* Heap::allocate(Mutator& mutator, heap::KindTag kind, std::size_t bytes,
                     std::size_t alignment) {
  if (is_tracing()) os::last_words("an allocation inside a trace callback");
  std::size_t rounded = heap::round_to_granules(bytes);
  if (kind.number() != 0) rounded = std::max(rounded, 2 * heap::kGranuleBytes);

  if (config_.stress != 0 && --mutator.until_stress == 0) {
    mutator.until_stress = config_.stress;
    if (may_collect(mutator)) {
      const ScannedFromEntry scanned(mutator.thread());
      collect_for_stress();
    }
  }
  if (is_small(rounded, alignment)) {
    const Runtime runtime(mutator.thread());
    const Address object = mutator.allocate_in_span(rounded, alignment, kind);
    if (object != Address()) return object.as();
  }
  const auto attempt = [&](bool whatever_the_budget) {
    const Runtime runtime(mutator.thread());
    return try_to_allocate(mutator, kind, rounded, alignment, whatever_the_budget);
  };
  const auto collect = [&](Scope scope, observe::Reason reason) {
    const ScannedFromEntry scanned(mutator.thread());
    collect_now(scope, reason);
  };
  auto memory = attempt(!may_collect(mutator));
  if (!memory && may_collect(mutator)) {
    if (memory.error() == Refusal::budget_spent) {
      collect(pacing_.next(), pacing_.why());
      memory = attempt(true);
    }
    // Others took it meanwhile, or it is in pieces, or old objects that are dead have it.
    if (!memory) {
      collect(Scope::all, observe::Reason::out_of_memory);
      memory = attempt(true);
    }
  }
  constexpr unsigned kMostAppeals = 8;
  for (unsigned appeal = 0; !memory && appeal < kMostAppeals; ++appeal) {
    if (!ask_for_memory(mutator, bytes)) break;
    memory = attempt(true);
    if (memory || !may_collect(mutator)) continue;
    collect(Scope::all, observe::Reason::out_of_memory);
    memory = attempt(true);
  }
  return memory ? memory->as() : nullptr;
}

// ---- Collections --------------------------------------------------------------------------------

bool Heap::wait_for_turn() {
  if (cycle_lock_.try_lock()) return true;
  // Whoever has it may wait for this thread to stop.
  const threads::HostThread::Parked parked(threads::HostThread::current());
  cycle_lock_.lock();
  cycle_lock_.unlock();
  return false;
}

void Heap::stop_world() {
  for (;;) {
    while (!world_.stop()) {
    }
    if (roots_.is_current()) return;
    world_.resume();
    roots_.prepare();
  }
}

bool Heap::collect_now(Scope scope, observe::Reason reason, const os::FunctionRef<void()>* look) {
  if (!wait_for_turn()) return false;
  const std::unique_lock turn(cycle_lock_, std::adopt_lock);
  if (!pacing_.has_generations()) scope = Scope::all;
  team_.start();
  roots_.prepare();
  events_->begin_cycle(cycle_kind(scope), reason);
  stop_world();
  const std::uint64_t cpu_before_ns = observe::thread_cpu_ns();
  const std::uint64_t mutators_ns = observe::process_cpu_ns() - process_ns_;
  observe::CycleResult result;
  bool due = false;
  {
    // Threads without a mutator are not stopped: trim, limits and pins wait for the space's lock.
    const std::scoped_lock guard(lock_, space_->lock());
    Collection collection(*this, scope);
    collection.run();
    result = collection.result();
    const std::uint64_t cpu_ns = observe::thread_cpu_ns() - cpu_before_ns;
    pacing_.add({.scope = scope,
                 .pause_ns = cpu_ns + collection.waited_ns(),
                 .fixed_ns = collection.fixed_cpu_ns(),
                 .cost_ns = cpu_ns + collection.others_cpu_ns(),
                 .mutators_ns = mutators_ns,
                 .trap_ns = collection.trap_ns(),
                 .allocated = collection.allocated(),
                 .old_before = live_,
                 .old_after = result.live_bytes,
                 .external = external_bytes()});
    live_ = result.live_bytes;
    last_promoted_ = result.promoted_bytes;
    set_budget();
    result.nursery_bytes = trigger_ - live_;
    result.next_kind = cycle_kind(pacing_.next());
    result.next_reason = pacing_.why();
    due = finalizers_.due() != 0;
    if (look != nullptr) {
      space_->finish_sweeping();
      (*look)();
    }
  }
  process_ns_ = observe::process_cpu_ns();
  events_->phase(observe::Phase::resume);
  world_.resume();
  events_->end_cycle(result);
  events_->publish();
  if (due) finalizer_thread_.wake();
  return true;
}

void Heap::collect_for_stress() {
  constexpr unsigned kFullEvery = 4;
  collect_now(++stress_cycles_ % kFullEvery == 0 ? Scope::all : Scope::young,
              observe::Reason::stress);
}

Expected<> Heap::collect(Mutator& mutator, Scope scope) {
  if (auto may = may_collect_now(mutator); !may) return may;
  const ScannedFromEntry scanned(mutator.thread());
  while (!collect_now(scope, observe::Reason::requested)) {
  }
  return {};
}

Expected<> Heap::look_around(Mutator& mutator, os::FunctionRef<void()> look) {
  if (auto may = may_collect_now(mutator); !may) return may;
  while (!collect_now(Scope::all, observe::Reason::requested, &look)) {
  }
  return {};
}

Expected<> Heap::may_collect_now(const Mutator& mutator) const {
  if (is_tracing()) return fail(ErrorCode::busy, "collecting", "inside a trace callback");
  if (mutator.no_collect != 0)
    return fail(ErrorCode::busy, "collecting", "weir_no_collect_begin is in force");
  if (mutator.finalizing != 0) return fail(ErrorCode::busy, "collecting", "inside a finalizer");
  return {};
}

void Heap::poll(Mutator& mutator) {
  const ScannedFromEntry scanned(mutator.thread());
  mutator.thread().safepoint();
  if (config_.stress == 1 && may_collect(mutator)) collect_for_stress();
}

std::size_t Heap::run_finalizers(Mutator& mutator, std::size_t most) {
  std::size_t ran = 0;
  for (; ran < most; ++ran) {
    std::optional<Finalizer> next;
    {
      const Runtime runtime(mutator.thread());
      next = finalizers_.take_due();
    }
    if (!next) break;
    ++mutator.finalizing;
    next->call(&mutator, next->object.as(), next->data);
    --mutator.finalizing;
    const Runtime runtime(mutator.thread());
    finalizers_.done(next->object);
  }
  return ran;
}

// ---- Limits -------------------------------------------------------------------------------------

// Under the space's lock, with the world stopped, or before there is a mutator.
void Heap::set_budget() {
  const std::size_t budget = pacing_.budget_bytes();
  space_->set_budget(budget);
  space_->set_size(pacing_.size_bytes());
  trigger_ = live_ + budget;
}

Expected<> Heap::set_limits(std::size_t minimum_bytes, std::size_t maximum_bytes) {
  if (auto right = check_limits(minimum_bytes, maximum_bytes); !right) return right;
  const Section section(threads::HostThread::current());
  const std::lock_guard guard(space_->lock());
  if (auto done = space_->set_maximum(maximum_bytes); !done) return done;
  config_.minimum_bytes = minimum_bytes;
  config_.maximum_bytes = maximum_bytes;
  pacing_.set_limits(minimum_bytes, maximum_bytes);
  const std::size_t spent = space_->used() - std::min(space_->used(), live_);
  set_budget();
  space_->spend_elsewhere(spent);
  return {};
}

std::size_t Heap::trim() {
  const Section section(threads::HostThread::current());
  const std::lock_guard guard(space_->lock());
  return space_->trim();
}

void Heap::on_out_of_memory(weir_out_of_memory handler, void* data) {
  const Section section(threads::HostThread::current());
  const std::lock_guard guard(lock_);
  out_of_memory_ = handler;
  out_of_memory_data_ = data;
}

void Heap::add_external(std::ptrdiff_t change) {
  external_.fetch_add(change, std::memory_order_relaxed);
  if (change <= 0) return;
  const Section section(threads::HostThread::current());
  const std::lock_guard guard(space_->lock());
  space_->spend_elsewhere(static_cast<std::size_t>(change));
}

weir_statistics Heap::statistics() {
  weir_statistics statistics = of_cycles(events_->statistics());
  statistics.external_bytes = external_bytes();
  statistics.weak_cells = weak_cells_.size();
  statistics.ephemerons = ephemerons_.size();
  statistics.finalizers = finalizers_.registered();
  statistics.finalizers_due = finalizers_.due();
  statistics.mutators = static_cast<std::uint32_t>(world_.size());
  statistics.markers = team_.size();
  const Section section(threads::HostThread::current());
  const std::scoped_lock guard(lock_, space_->lock());
  statistics.allocated_bytes = allocated_ + space_->allocated_large();
  statistics.heap_bytes = space_->in_blocks();
  statistics.metadata_bytes = space_->metadata_bytes();
  statistics.trigger_bytes = trigger_;
  return statistics;
}

std::optional<heap::Found> Heap::find(Mutator& mutator, Address address) {
  if (image::Image* image = images_.find(address)) return image->look_up(address);
  const Runtime runtime(mutator.thread());  // no stop while a lock of the space is held
  mutator.mark_ends();
  {
    const std::lock_guard guard(space_->lock());
    if (mutator.owns(address)) return space_->find(address);
  }
  return find(address);
}

std::optional<heap::Found> Heap::find(Address address) {
  if (image::Image* image = images_.find(address)) return image->look_up(address);
  {
    const std::lock_guard guard(space_->lock());
    if (!space_->is_owned(address)) return space_->find(address);
  }
  // A mutator allocates in that block at this moment.
  while (!wait_for_turn()) {
  }
  const std::unique_lock turn(cycle_lock_, std::adopt_lock);
  while (!world_.stop()) {
  }
  std::optional<heap::Found> found;
  {
    const std::scoped_lock guard(lock_, space_->lock());
    for_each_mutator([](Mutator& other) { other.mark_ends(); });
    found = space_->find(address);
  }
  world_.resume();
  return found;
}

bool Heap::free_early(Mutator& mutator, Address object) {
  if (!space_->region().contains(object)) return is_object(object);
  if (space_->is_object(object) && mutator.take_back(object)) return true;
  const std::scoped_lock guard(lock_, space_->lock());
  // Whoever else allocates in the block writes its metadata without a lock.
  if (space_->is_owned(object) && !mutator.owns(object)) return space_->is_object(object);
  const auto found = space_->find(object);
  if (!found || found->range.begin != object) return false;
  live_ -= std::min(live_, space_->free_early(object));
  return true;
}

// ---- Images -------------------------------------------------------------------------------------

Expected<weir_image*> Heap::open_image(const std::string& path, const OpenOptions& options) {
  // No collection meanwhile: the barrier is the collecting thread's.
  while (!wait_for_turn()) {
  }
  const std::unique_lock turn(cycle_lock_, std::adopt_lock);
  return images_.open(path, options);
}

Expected<> Heap::save_image(Mutator& mutator, const std::string& path, const SaveOptions& options) {
  Saving saving(*this, options);
  if (auto ready = saving.prepare(path); !ready) return ready;
  const auto save = [&] { saving.run(); };
  if (auto done = look_around(mutator, save); !done) return done;
  return saving.finish();
}

bool Heap::is_object(Address start) {
  if (image::Image* image = images_.find(start)) {
    const auto found = image->look_up(start);
    return found && found->range.begin == start;
  }
  return space_->is_object(start);
}

std::uint64_t Heap::identity_of(Address object) const {
  if (const image::Image* image = images_.find(object)) return image->identity_of(object);
  return identity_ + (object - space_->region().range().begin);
}

}  // namespace weir::collector
