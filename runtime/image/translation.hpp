// From the addresses that words of an image have in its file to those that they need here, and back
// again for whoever saves: a few disjoint ranges, each moved as a whole. Built beforehand; reading
// it is for any thread, the fault path included.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>
#include <weir/address.hpp>

namespace weir::image {

// How a slot's word becomes an address: weir_config.
struct SlotFormat {
  std::uintptr_t mask = ~std::uintptr_t{0};
  unsigned shift = 0;

  Address decode(std::uintptr_t word) const { return Address((word & mask) << shift); }
  // The word with another address in it.
  std::uintptr_t encode(std::uintptr_t word, Address address) const {
    return (word & ~mask) | ((address.value() >> shift) & mask);
  }
  friend bool operator==(const SlotFormat&, const SlotFormat&) = default;
};

class Translation {
 public:
  // What of it was added before stays as it is.
  void add(Range from, Address to) {
    is_identity_ = is_identity_ && from.begin == to;
    Range rest = from;
    std::vector<Move> added;
    for (const Move& known : moves_) {
      if (!known.from.overlaps(rest)) continue;
      if (rest.begin < known.from.begin)
        added.push_back(
            {Range::between(rest.begin, known.from.begin), to + (rest.begin - from.begin)});
      rest = known.from.end() < rest.end() ? Range::between(known.from.end(), rest.end())
                                           : Range{rest.end(), 0};
    }
    if (!rest.empty()) added.push_back({rest, to + (rest.begin - from.begin)});
    moves_.insert(moves_.end(), added.begin(), added.end());
    std::ranges::sort(moves_, {}, [](const Move& move) { return move.from.begin; });
  }
  // Nothing: it lies in no range.
  std::optional<Address> operator()(Address address) const {
    const auto after = std::ranges::upper_bound(moves_, address, {},
                                                [](const Move& move) { return move.from.begin; });
    if (after == moves_.begin() || !(after - 1)->from.contains(address)) return std::nullopt;
    return (after - 1)->to + (address - (after - 1)->from.begin);
  }
  bool is_identity() const { return is_identity_; }

 private:
  struct Move {
    Range from;
    Address to;
  };
  std::vector<Move> moves_;  // by address
  bool is_identity_ = true;
};

}  // namespace weir::image
