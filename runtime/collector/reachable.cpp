#include "runtime/collector/reachable.hpp"

#include "runtime/collector/heap.hpp"

namespace weir::collector {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

}  // namespace

Reachable::Reachable(Heap& heap) : Tracer(heap.space(), heap.format()), heap_(heap) {}

bool Reachable::index_ephemerons() {
  bool fits = true;
  heap_.ephemerons().for_each([&](Address key, Address value) {
    bool is_first = false;
    std::uint32_t* first =
        first_of_key_.insert(key, static_cast<std::uint32_t>(values_.size()), &is_first);
    const std::uint32_t next = first == nullptr || is_first ? kNone : *first;
    if (first == nullptr || !values_.push_back({value, next})) {
      fits = false;
      return;
    }
    *first = static_cast<std::uint32_t>(values_.size() - 1);
  });
  return fits;
}

bool Reachable::walk(Address wanted) {
  if (!index_ephemerons()) return false;
  heap_.scan_roots(*this, Scope::all);
  root_ = "an object of an image";
  heap_.images().for_each_edge(
      [this](Address, Address slot, Address target) { edge(slot, target); });
  heap_.ephemerons().for_each([this](Address key, Address value) {
    if (heap_.images().find(key) != nullptr) edge(Address(), value);
  });
  for (std::size_t next = 0; next < queue_.size() && !out_of_memory_; ++next) {
    const Address object = queue_[next];
    if (object == wanted) return true;
    parent_ = object;
    root_ = nullptr;
    const heap::Found found = space_.describe(object);
    trace_part(found, 0, found.range.size);
    const std::uint32_t* first = first_of_key_.find(object);
    for (std::uint32_t i = first != nullptr ? *first : kNone; i != kNone;
         i = values_[i].next_of_key)
      edge(Address(), values_[i].value);
  }
  return !out_of_memory_;
}

void Reachable::add(const Edge& edge, Address object) {
  bool is_new = false;
  if (found_.insert(object, edge, &is_new) == nullptr || (is_new && !queue_.push_back(object)))
    out_of_memory_ = true;
}

void Reachable::edge(Address slot, Address target) {
  if (target == Address()) return;
  const Edge edge{root_, parent_, slot};
  if (const auto object = space_.find(target))
    add(edge, object->range.begin);
  else if (dangling() == nullptr)
    dangling_ = edge;
}

void Reachable::root_slots(const char* what, Address first, std::size_t count) {
  root_ = what;
  Tracer::root_slots(what, first, count);
}
void Reachable::root_words(const char* what, Range words) {
  root_ = what;
  Tracer::root_words(what, words);
}
void Reachable::root_object(const char* what, Address object) {
  root_ = what;
  Tracer::root_object(what, object);
}
void Reachable::root_callback(const char* what, os::FunctionRef<void(weir_visitor*)> callback) {
  root_ = what;
  Tracer::root_callback(what, callback);
}

}  // namespace weir::collector
