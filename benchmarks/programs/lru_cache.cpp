// A cache that forgets what was used least recently: a hash table of entries in a doubly linked
// list. A hit moves an entry to the front, which writes to three old objects anywhere in the heap;
// a miss makes an entry and its bytes, and drops the last one, which is old. Hard on every
// generational collector.
#include <cstring>

#include "benchmarks/programs/harness/program.hpp"

namespace weir::programs {
namespace {

struct Entry {
  Entry *newer, *older;
  Entry* next_in_bucket;
  char* bytes;
  std::uint64_t key, size;
  static constexpr std::uint64_t kReferences = 0b001111;
};

class Cache {
 public:
  Cache(Mutator& mutator, std::uint64_t capacity) : mutator_(mutator), capacity_(capacity) {
    while (buckets_ < capacity) buckets_ *= 2;
    table_ = mutator_.make_array<Entry*>(buckets_);
  }

  // The entry of the key, made if there is none.
  Entry* use(std::uint64_t key) {
    for (Entry* entry = *bucket_of(key); entry != nullptr; entry = entry->next_in_bucket) {
      if (entry->key != key) continue;
      if (entry != newest_) {
        unlink(entry);
        link(entry);
      }
      return entry;
    }
    if (count_ == capacity_) evict();
    return insert(key);
  }

  void clear() {
    while (count_ != 0) evict();
    mutator_.release(table_);
  }

 private:
  Entry** bucket_of(std::uint64_t key) {
    return &table_[(key * 0x9e3779b97f4a7c15u >> 32) & (buckets_ - 1)];
  }

  Entry* insert(std::uint64_t key) {
    Entry* entry = mutator_.make<Entry>();
    entry->key = key;
    entry->size = 32 + key % 7 * 32;
    char* bytes = mutator_.make_bytes(entry->size);
    std::memset(bytes, static_cast<int>(key), entry->size);
    mutator_.store(entry, &entry->bytes, bytes);
    Entry** bucket = bucket_of(key);
    mutator_.store(entry, &entry->next_in_bucket, *bucket);
    mutator_.store(table_, bucket, entry);
    link(entry);
    ++count_;
    return entry;
  }

  void link(Entry* entry) {
    mutator_.store(entry, &entry->newer, static_cast<Entry*>(nullptr));
    mutator_.store(entry, &entry->older, newest_);
    if (newest_ != nullptr)
      mutator_.store(newest_, &newest_->newer, entry);
    else
      oldest_ = entry;
    newest_ = entry;
  }

  void unlink(Entry* entry) {
    if (entry->newer != nullptr)
      mutator_.store(entry->newer, &entry->newer->older, entry->older);
    else
      newest_ = entry->older;
    if (entry->older != nullptr)
      mutator_.store(entry->older, &entry->older->newer, entry->newer);
    else
      oldest_ = entry->newer;
  }

  void evict() {
    Entry* entry = oldest_;
    unlink(entry);
    Entry** bucket = bucket_of(entry->key);
    if (*bucket == entry) {
      mutator_.store(table_, bucket, entry->next_in_bucket);
    } else {
      Entry* before = *bucket;
      while (before->next_in_bucket != entry) before = before->next_in_bucket;
      mutator_.store(before, &before->next_in_bucket, entry->next_in_bucket);
    }
    mutator_.release(entry->bytes);
    mutator_.release(entry);
    --count_;
  }

  Mutator& mutator_;
  std::uint64_t capacity_;
  std::uint64_t buckets_ = 1;
  std::uint64_t count_ = 0;
  Entry** table_ = nullptr;
  Entry* newest_ = nullptr;
  Entry* oldest_ = nullptr;
};

std::uint64_t work(Mutator& mutator, const Options& options) {
  const std::uint64_t keys = options.whole("keys");
  Random random(options.whole("seed"));
  Checksum sum;
  Cache cache(mutator, options.whole("capacity"));
  const std::uint64_t lookups = options.whole("lookups");
  for (std::uint64_t i = 0; i < lookups; ++i) {
    const std::uint64_t key = random.below(2) == 0 ? random.zipf_below(keys) : random.below(keys);
    const Entry* entry = cache.use(key);
    sum.add(static_cast<std::uint64_t>(entry->bytes[key % entry->size]) + entry->size);
    mutator.long_beat();
  }
  cache.clear();
  return sum.value();
}

}  // namespace
}  // namespace weir::programs

int main(int argc, char** argv) {
  using namespace weir::programs;
  const Options options("lru_cache",
                        {{"capacity", "200000", "entries"},
                         {"keys", "400000", "half of them as likely as all others, half by Zipf"},
                         {"lookups", "1500000", "each a hit or a miss"}},
                        argc, argv);
  return run(options, {}, work);
}
