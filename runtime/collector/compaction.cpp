#include "runtime/collector/compaction.hpp"

#include <algorithm>

#include "runtime/collector/heap.hpp"

namespace weir::collector {
namespace {

constexpr const char* kWhat = "saving a compact heap image";
// So that references into images are handed on, too.
constexpr Range kEverywhere{Address(), ~std::size_t{0}};

constexpr const char* kConservative =
    "saving a heap image compact, since objects of a kind that is traced conservatively stay where "
    "they are";
constexpr const char* kOffHeap =
    "saving a heap image, since objects of a kind reach memory outside the heap";

// Without malloc: the world is stopped.
Unexpected unmovable(const char* why, const char* kind) {
  return fail(ErrorCode::unsupported, why, ErrorText(kind), {},
              "Save without `compact` what must keep its address");
}

}  // namespace

Compaction::Compaction(Heap& heap, image::ClusterSize size) : heap_(heap), cluster_size_(size) {
  areas_.push_back({heap.space().region().range(), nullptr, {}});
  for (std::size_t i = 0; i < heap.images().size(); ++i)
    for (const auto& segment : heap.images()[i].image->segments())
      areas_.push_back({segment->range, heap.images()[i].image.get(), {}});
  std::ranges::sort(areas_, {}, [](const Area& area) { return area.range.begin; });
}

const Compaction::Area* Compaction::area_of(Address address) const {
  const auto after = std::ranges::upper_bound(areas_, address, {},
                                              [](const Area& area) { return area.range.begin; });
  if (after == areas_.begin() || !(after - 1)->range.contains(address)) return nullptr;
  return &*(after - 1);
}

Address Compaction::Area::next_kept(Address from) const {
  const auto begin = places.begin() + (from - range.begin) / heap::kGranuleBytes;
  const auto kept =
      std::find_if(begin, places.end(), [](std::uint32_t place) { return place != 0; });
  return range.begin + static_cast<std::size_t>(kept - places.begin()) * heap::kGranuleBytes;
}

std::optional<heap::Found> Compaction::find(const Area& area, Address address) const {
  if (area.image != nullptr) return area.image->find(address);
  return heap_.space().find(address);
}

heap::Found Compaction::describe(const Area& area, Address start) const {
  return area.image != nullptr ? *area.image->find(start) : heap_.space().describe(start);
}

// ---- Marking ------------------------------------------------------------------------------------

class Compaction::Marker final : public Tracer<Compaction::Marker> {
 public:
  explicit Marker(Compaction& compaction)
      : Tracer(compaction.heap_.space(), compaction.heap_.format(), kEverywhere),
        compaction_(compaction) {}

  Expected<> run() {
    while (result_ && !pending_.empty()) {
      const Address start = pending_.back();
      pending_.pop_back();
      if (const auto object = look_up(start); object && check(*object))
        trace_part(*object, 0, object->range.size);
    }
    return result_;
  }
  void edge(Address, Address target) {
    Area* const area = compaction_.area_of(target);
    if (area == nullptr || !result_) return;
    Address start = target;
    if (area->place(target) == 0) {
      const auto object = look_up(target);
      if (!object) return;
      start = object->range.begin;
    }
    if (std::uint32_t& place = area->place(start); place == 0) {
      place = kMarked;
      if (!pending_.push_back(start))
        result_ = fail(ErrorCode::out_of_memory, kWhat, "the stack of objects to be traced");
    }
  }
  void visit_words(Range words) override {
    const auto object = look_up(words.begin);
    result_ = unmovable(kConservative, object ? name_of(*object) : "");
  }

 private:
  // All of it is there afterwards.
  std::optional<heap::Found> look_up(Address address) {
    const Area* const area = compaction_.area_of(address);
    if (area == nullptr) return std::nullopt;
    if (area->image == nullptr) return compaction_.find(*area, address);
    const auto object = area->image->look_up(address);
    if (object && area->image->bring_in(object->range)) return object;
    if (!area->image->bring_in({address, 1}) || object)
      result_ = fail(ErrorCode::invalid_argument, kWhat, "an image that is open is damaged", {},
                     "`weir image verify` shows where");
    return std::nullopt;
  }
  const char* name_of(const heap::Found& object) const {
    return object.kind.number() != 0 ? space_.kinds().of(object.kind).name.c_str() : "built in";
  }
  bool check(const heap::Found& object) {
    if (object.kind.trace_class() == heap::TraceClass::conservative)
      result_ = unmovable(kConservative, name_of(object));
    else if (object.kind.trace_class() == heap::TraceClass::callback &&
             space_.kinds().of(object.kind).reaches_off_heap)
      result_ = unmovable(kOffHeap, name_of(object));
    return result_.has_value();
  }

  Compaction& compaction_;
  os::OffHeapVector<Address> pending_;
  Expected<> result_;
};

Expected<> Compaction::trace(std::span<const std::pair<std::string, Address>> roots) {
  for (Area& area : areas_) {
    if (area.image == nullptr) area.range = heap_.space().committed();
    auto places = os::OffHeapArray<std::uint32_t>::create(area.range.size / heap::kGranuleBytes);
    if (!places) return Unexpected(places.error());
    area.places = std::move(*places);
  }
  Marker marker(*this);
  for (const auto& [name, object] : roots)
    if (object != Address()) marker.edge(Address(), object);
  return marker.run();
}

// ---- Places -------------------------------------------------------------------------------------

Expected<> Compaction::place(Address saved) {
  saved_ = saved;
  const std::size_t in_cluster = cluster_size_.granules();
  std::size_t at = 0;  // in granules
  for (Area& area : areas_)
    for (Address start = area.next_kept(area.range.begin); start < area.range.end();
         start = area.next_kept(start + heap::kGranuleBytes)) {
      const std::size_t granules = describe(area, start).range.size / heap::kGranuleBytes;
      const std::size_t unit = granules <= in_cluster ? in_cluster : heap::kBlockGranules;
      const std::size_t left = unit - at % unit;
      if (left < granules && left != unit) at += left;
      area.place(start) = static_cast<std::uint32_t>(at + 1);
      at += granules;
      if (at >= kMarked - heap::kBlockGranules)
        return fail(ErrorCode::unsupported, kWhat, "it would have more than 64 GiB");
      for (std::size_t cluster = first_in_.size(); cluster * in_cluster < at; ++cluster)
        if (!first_in_.push_back(start)) return fail(ErrorCode::out_of_memory, kWhat);
    }
  return {};
}

void Compaction::for_each_in(std::size_t cluster, Visit visit) const {
  if (cluster >= first_in_.size()) return;  // the rest of the last block
  const Address end = saved_ + (cluster + 1) * cluster_size_.bytes();
  const Area* area = area_of(first_in_[cluster]);
  Address start = first_in_[cluster];
  for (;;) {
    const Address placed = saved_ + (area->place(start) - 1) * heap::kGranuleBytes;
    if (placed >= end) return;
    const heap::Found object = describe(*area, start);
    visit(object, placed);
    if (placed + object.range.size >= end) return;
    start = area->next_kept(object.range.end());
    while (start == area->range.end()) {
      if (++area == &areas_.back() + 1) return;
      start = area->next_kept(area->range.begin);
    }
  }
}

std::optional<Address> Compaction::to_saved(Address address) const {
  const Area* const area = area_of(address);
  if (area == nullptr) return std::nullopt;
  Address start = address.align_down(heap::kGranuleBytes);
  if (area->place(start) == 0) {
    const auto object = find(*area, address);
    if (!object || area->place(object->range.begin) == 0) return std::nullopt;
    start = object->range.begin;
  }
  return saved_ + (area->place(start) - 1) * heap::kGranuleBytes + (address - start);
}

}  // namespace weir::collector
