// Write traces for the arming policy: what happens to each page of a few programs and of many
// artificial ones, cycle by cycle. Deterministic from the random source given, on every platform.
#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

#include "tests/barrier/arming_model.hpp"
#include "tests/support/random.hpp"

namespace weir::test {

// One trace per page, all of the same length.
using PageTraces = std::vector<Trace>;

// The standard distributions differ between libraries; these do not.
inline bool chance(Random& random, double p) {
  return static_cast<double>(random() >> 11) * 0x1p-53 < p;
}
inline std::size_t below(Random& random, std::size_t n) {
  return random() % n;
}

inline Trace repeated(const Trace& pattern, std::size_t cycles) {
  Trace trace(cycles);
  for (std::size_t t = 0; t < cycles; ++t) trace[t] = pattern[t % pattern.size()];
  return trace;
}

// `burst` written cycles, then `pause` clean ones, again and again.
inline Trace bursts(std::size_t burst, std::size_t pause, Write write, std::size_t cycles) {
  Trace pattern(burst, write);
  pattern.insert(pattern.end(), pause, Write::none);
  return repeated(pattern, cycles);
}

// Written with probability p in each cycle; `silent` of the writes store no young pointer.
inline Trace bernoulli(Random& random, double p, double silent, std::size_t cycles) {
  Trace trace(cycles);
  for (Write& write : trace) {
    write = !chance(random, p)       ? Write::none
            : chance(random, silent) ? Write::silent
                                     : Write::young;
  }
  return trace;
}

// Busy and idle phases of random length, `mean` cycles on average.
inline Trace phases(Random& random, double busy, double idle, double mean, std::size_t cycles) {
  Trace trace(cycles);
  bool is_busy = false;
  for (Write& write : trace) {
    if (chance(random, 1 / mean)) is_busy = !is_busy;
    write = chance(random, is_busy ? busy : idle) ? Write::young : Write::none;
  }
  return trace;
}

// `stores` stores per cycle, to pages of Zipf popularity.
inline PageTraces zipf(Random& random, std::size_t pages, std::size_t stores, double exponent,
                       std::size_t cycles) {
  std::vector<double> cumulative(pages);
  for (std::size_t i = 0; i < pages; ++i) {
    cumulative[i] = 1 / std::pow(static_cast<double>(i + 1), exponent);
  }
  std::partial_sum(cumulative.begin(), cumulative.end(), cumulative.begin());
  PageTraces traces(pages, Trace(cycles));
  for (std::size_t t = 0; t < cycles; ++t) {
    for (std::size_t i = 0; i < stores; ++i) {
      const double at = static_cast<double>(random() >> 11) * 0x1p-53 * cumulative.back();
      const auto page = std::upper_bound(cumulative.begin(), cumulative.end(), at);
      traces[static_cast<std::size_t>(page - cumulative.begin())][t] = Write::young;
    }
  }
  return traces;
}

// The pages of a simulated heap of equal cells, and what a program's stores make of them.
class TracedHeap {
 public:
  TracedHeap(std::size_t cells, std::size_t cells_per_page, std::size_t cycles)
      : cells_per_page_(cells_per_page),
        traces_((cells + cells_per_page - 1) / cells_per_page, Trace(cycles)) {}
  void store(std::size_t cell, std::size_t cycle, Write write) {
    Write& at = traces_[cell / cells_per_page_][cycle];
    at = std::max(at, write);
  }
  PageTraces take() { return std::move(traces_); }

 private:
  std::size_t cells_per_page_;
  PageTraces traces_;
};

// A cache of fixed size: a hit moves its node to the front of the list (stores of old pointers), a
// miss overwrites the value of the last node with a new object.
inline PageTraces lru_cache(Random& random, std::size_t lookups, std::size_t cycles) {
  constexpr std::size_t kNodes = 4096, kKeys = 3 * kNodes, kNodesPerPage = 64;
  TracedHeap heap(kNodes, kNodesPerPage, cycles);
  std::vector<std::size_t> previous(kNodes), next(kNodes), key_of(kNodes);
  std::vector<std::size_t> node_of(kKeys, kNodes);  // kNodes: not cached
  for (std::size_t i = 0; i < kNodes; ++i) {
    previous[i] = (i + kNodes - 1) % kNodes;
    next[i] = (i + 1) % kNodes;
    key_of[i] = i;
    node_of[i] = i;
  }
  std::size_t first = 0;
  for (std::size_t t = 0; t < cycles; ++t) {
    for (std::size_t i = 0; i < lookups; ++i) {
      const double u = static_cast<double>(random() >> 11) * 0x1p-53;
      const std::size_t key = static_cast<std::size_t>(u * u * u * kKeys);
      std::size_t node = node_of[key];
      if (node == kNodes) {
        node = previous[first];
        node_of[key_of[node]] = kNodes;
        key_of[node] = key;
        node_of[key] = node;
        heap.store(node, t, Write::young);
      }
      if (node == first) continue;
      next[previous[node]] = next[node];
      previous[next[node]] = previous[node];
      heap.store(previous[node], t, Write::silent);
      heap.store(next[node], t, Write::silent);
      const std::size_t last = previous[first];
      previous[node] = last;
      next[node] = first;
      next[last] = previous[first] = node;
      for (const std::size_t touched : {node, last, first}) heap.store(touched, t, Write::silent);
      first = node;
    }
  }
  return heap.take();
}

// A hash table that doubles: random slots get new objects; then the next, larger table is filled
// from the old one (which is dead from then on), and so on to the last.
inline PageTraces growing_hash_table(Random& random, std::size_t inserts, std::size_t cycles) {
  constexpr std::size_t kFirst = 1024, kTables = 6, kSlotsPerPage = 512;
  TracedHeap heap(kFirst << kTables, kSlotsPerPage, cycles);
  std::size_t capacity = kFirst, used = 0, base = 0, tables = 1;
  for (std::size_t t = 0; t < cycles; ++t) {
    for (std::size_t i = 0; i < inserts; ++i) {
      heap.store(base + below(random, capacity), t, Write::young);
      if (++used < capacity / 4 * 3 || tables == kTables) continue;
      base += capacity;
      capacity *= 2;
      ++tables;
      for (std::size_t slot = 0; slot < capacity; ++slot) heap.store(base + slot, t, Write::silent);
    }
  }
  return heap.take();
}

// A ring buffer: producers put new objects at one end, consumers clear the slots at the other.
inline PageTraces queue(Random& random, std::size_t puts, std::size_t cycles) {
  constexpr std::size_t kSlots = 16384, kSlotsPerPage = 512;
  TracedHeap heap(kSlots, kSlotsPerPage, cycles);
  std::size_t head = kSlots / 2, tail = 0;
  for (std::size_t t = 0; t < cycles; ++t) {
    for (std::size_t n = below(random, 2 * puts + 1); n > 0; --n) {
      heap.store(head++ % kSlots, t, Write::young);
    }
    for (; tail + kSlots / 2 < head; ++tail) heap.store(tail % kSlots, t, Write::silent);
  }
  return heap.take();
}

// Counters and flags: objects that are written all the time, hardly ever with a new object.
inline PageTraces counters(Random& random, std::size_t stores, std::size_t cycles) {
  constexpr std::size_t kCells = 8192, kCellsPerPage = 128;
  TracedHeap heap(kCells, kCellsPerPage, cycles);
  for (std::size_t t = 0; t < cycles; ++t) {
    for (std::size_t i = 0; i < stores; ++i) {
      heap.store(below(random, 1 + below(random, kCells)), t,
                 chance(random, 0.01) ? Write::young : Write::silent);
    }
  }
  return heap.take();
}

}  // namespace weir::test
