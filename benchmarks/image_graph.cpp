#include "benchmarks/image_graph.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>

namespace weir::bench {
namespace {

constexpr std::size_t kBuckets = 1 << 14;
constexpr std::size_t kChurnWords = 4;  // of the objects that live_churn keeps

struct Files {
  Files() = default;
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files() {
    for (const auto& [key, path] : paths) ::unlink(path.c_str());
  }
  std::map<std::pair<int, std::size_t>, std::string> paths;
};

struct Entry {
  Entry* next;
  char* text;
  std::uint64_t number;
  Entry* other;
};

}  // namespace

void must(weir_status status) {
  if (status == WEIR_OK) return;
  std::fprintf(stderr, "%s\n", weir_error_message());
  std::exit(1);
}

// Half in strings and hash chains, half in small objects that refer to one another at random.
void build_graph(weir_mutator* mutator, std::size_t mib, void** slot) {
  std::mt19937_64 random(mib);
  void* slots[2] = {};
  weir_frame frame{nullptr, 2, slots};
  weir_frame_enter(mutator, &frame);
  *slot = weir_allocate(mutator, WEIR_KIND_SLOTS, 2 * kBuckets * sizeof(void*));
  const auto table = [&] { return static_cast<void**>(*slot); };
  for (std::size_t bytes = 0; bytes < mib << 20;) {
    char text[96];
    const int length = std::snprintf(text, sizeof text, "the name of %llx, a %s",
                                     static_cast<unsigned long long>(random() >> (random() % 48)),
                                     random() % 3 == 0 ? "function" : "variable of some module");
    slots[0] = weir_allocate(mutator, WEIR_KIND_LEAF, static_cast<std::size_t>(length) + 1);
    std::memcpy(slots[0], text, static_cast<std::size_t>(length) + 1);
    auto* entry = static_cast<Entry*>(weir_allocate(mutator, WEIR_KIND_SLOTS, sizeof(Entry)));
    void** bucket = &table()[random() % kBuckets];
    *entry = {static_cast<Entry*>(*bucket), static_cast<char*>(slots[0]), random() % 1000,
              static_cast<Entry*>(table()[random() % kBuckets])};
    *bucket = entry;
    weir_write_barrier(mutator, table(), bucket);
    auto** churn =
        static_cast<void**>(weir_allocate(mutator, WEIR_KIND_SLOTS, kChurnWords * sizeof(void*)));
    void** kept = &table()[kBuckets + random() % kBuckets];
    churn[0] = *kept;
    churn[1] = table()[kBuckets + random() % kBuckets];
    churn[2] = table()[random() % kBuckets];
    *kept = churn;
    weir_write_barrier(mutator, table(), kept);
    bytes += 64 + 32 + sizeof(Entry);
  }
  weir_frame_leave(mutator, &frame);
}

const std::string& saved_image(weir_codec codec, std::size_t mib) {
  static Files files;
  std::string& path = files.paths[{codec, mib}];
  if (!path.empty()) return path;
  const char* tmpdir = std::getenv("TMPDIR");
  path = std::string(tmpdir != nullptr ? tmpdir : "/tmp") + "/bench-image-" +
         std::to_string(::getpid()) + "-" + std::to_string(codec) + "-" + std::to_string(mib);
  weir_config config;
  weir_config_init(&config);
  config.maximum_bytes = (mib + 512) << 21;
  weir_heap* heap = nullptr;
  weir_mutator* mutator = nullptr;
  must(weir_heap_create(&config, &heap));
  const weir_mutator_config precise{WEIR_STOP_POLL, false, nullptr};
  must(weir_mutator_attach(heap, &precise, &mutator));
  void* slots[1] = {};
  weir_frame frame{nullptr, 1, slots};
  weir_frame_enter(mutator, &frame);
  build_graph(mutator, mib, slots);
  weir_image_save_config save;
  weir_image_save_config_init(&save);
  const weir_image_root roots[] = {{"graph", slots[0]}};
  save.roots = roots;
  save.root_count = 1;
  save.codec = codec;
  must(weir_image_save(mutator, path.c_str(), &save));
  weir_frame_leave(mutator, &frame);
  must(weir_mutator_detach(mutator));
  must(weir_heap_destroy(heap, false));
  return path;
}

}  // namespace weir::bench
