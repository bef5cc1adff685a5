#include "benchmarks/image_graph.hpp"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <tuple>

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
  std::map<std::tuple<int, std::size_t, std::size_t>, std::string> paths;
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

namespace {

// Half in strings and hash chains, half in small objects that refer to one another at random. Its
// root is kept by `slot`, a slot of a frame.
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

}  // namespace

GraphHeap::GraphHeap(std::size_t maximum_bytes, std::size_t mib, unsigned markers) {
  weir_config config;
  weir_config_init(&config);
  config.maximum_bytes = maximum_bytes;
  if (markers != 0) config.markers = markers;
  must(weir_heap_create(&config, &heap_));
  const weir_mutator_config precise{WEIR_STOP_POLL, false, nullptr};
  must(weir_mutator_attach(heap_, &precise, &mutator_));
  weir_frame_enter(mutator_, &frame_);
  build_graph(mutator_, mib, slots_);
}

GraphHeap::~GraphHeap() {
  weir_frame_leave(mutator_, &frame_);
  must(weir_mutator_detach(mutator_));
  must(weir_heap_destroy(heap_, false));
}

void GraphHeap::save(const std::string& path, weir_codec codec, std::size_t cluster_kib) {
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  const weir_image_root roots[] = {{"graph", slots_[0]}};
  config.roots = roots;
  config.root_count = 1;
  config.codec = codec;
  config.cluster_bytes = cluster_kib << 10;
  must(weir_image_save(mutator_, path.c_str(), &config));
}

const std::string& saved_image(weir_codec codec, std::size_t mib, std::size_t cluster_kib) {
  static Files files;
  std::string& path = files.paths[{codec, mib, cluster_kib}];
  if (!path.empty()) return path;
  const char* tmpdir = std::getenv("TMPDIR");
  path = std::string(tmpdir != nullptr ? tmpdir : "/tmp") + "/bench-image-" +
         std::to_string(::getpid()) + "-" + std::to_string(codec) + "-" + std::to_string(mib) +
         "-" + std::to_string(cluster_kib);
  GraphHeap((mib + 512) << 21, mib, 0).save(path, codec, cluster_kib);
  return path;
}

}  // namespace weir::bench
