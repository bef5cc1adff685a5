// Who answers for which address: disjoint ranges, sorted, looked up by binary search.
//
// Read under the fault gate (shared). Changed by building the next map beforehand, and swapping it
// in under the gate (exclusive): handlers never meet a table that is being changed, and nothing is
// allocated or freed while faults wait.
#pragma once

#include <algorithm>
#include <vector>
#include <weir/address.hpp>

namespace weir::os {

template <class Value>
class RangeMap {
 public:
  struct Entry {
    Range range;
    Value value;
  };

  Entry* find(Address address) {
    auto after = first_after(address);
    if (after == entries_.begin()) return nullptr;
    Entry& candidate = *(after - 1);
    return candidate.range.contains(address) ? &candidate : nullptr;
  }
  // The entry that has exactly this range.
  Entry* find_exactly(Range range) {
    Entry* entry = find(range.begin);
    return entry != nullptr && entry->range == range ? entry : nullptr;
  }
  // The entry that holds the whole of `range`.
  Entry* find_around(Range range) {
    Entry* entry = find(range.begin);
    return entry != nullptr && entry->range.contains(range) ? entry : nullptr;
  }
  bool overlaps(Range range) const {
    return std::any_of(entries_.begin(), entries_.end(),
                       [&](const Entry& e) { return e.range.overlaps(range); });
  }

  // Copies with one change, to be swapped in.
  RangeMap with(Range range, Value value) const {
    RangeMap next;
    next.entries_.reserve(entries_.size() + 1);
    next.entries_ = entries_;
    next.entries_.insert(next.first_after(range.begin), Entry{range, std::move(value)});
    return next;
  }
  // Without what lies in `range`; entries that stick out of it keep what is outside.
  RangeMap without(Range range) const {
    RangeMap next;
    next.entries_.reserve(entries_.size() + 1);
    for (const Entry& e : entries_) {
      if (!e.range.overlaps(range)) {
        next.entries_.push_back(e);
        continue;
      }
      if (e.range.begin < range.begin)
        next.entries_.push_back({Range::between(e.range.begin, range.begin), e.value});
      if (range.end() < e.range.end())
        next.entries_.push_back({Range::between(range.end(), e.range.end()), e.value});
    }
    return next;
  }
  void swap(RangeMap& other) noexcept { entries_.swap(other.entries_); }

  bool empty() const { return entries_.empty(); }
  auto begin() { return entries_.begin(); }
  auto end() { return entries_.end(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  auto first_after(Address address) {
    return std::upper_bound(entries_.begin(), entries_.end(), address,
                            [](Address a, const Entry& e) { return a < e.range.begin; });
  }
  std::vector<Entry> entries_;
};

}  // namespace weir::os
