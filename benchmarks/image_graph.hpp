// An object graph of a given size for the benchmarks of images: tables, chained entries and
// strings, as interpreters have them; saved once for each codec, size and size of clusters, and
// removed when the program ends.
#pragma once

#include <weir/weir.h>

#include <cstddef>
#include <string>

namespace weir::bench {

// The file. Ends the program with a sentence if it cannot be made.
const std::string& saved_image(weir_codec codec, std::size_t mib, std::size_t cluster_kib = 64);

// The same graph in a heap of its own.
class GraphHeap {
 public:
  // `markers`: 0, as many as the configuration has by itself.
  GraphHeap(std::size_t maximum_bytes, std::size_t mib, unsigned markers);
  ~GraphHeap();
  GraphHeap(const GraphHeap&) = delete;
  GraphHeap& operator=(const GraphHeap&) = delete;

  void save(const std::string& path, weir_codec codec, std::size_t cluster_kib = 64);

 private:
  weir_heap* heap_ = nullptr;
  weir_mutator* mutator_ = nullptr;
  void* slots_[1] = {};  // the graph's root
  weir_frame frame_{nullptr, 1, slots_};
};

void must(weir_status status);  // else the program ends with the sentence

}  // namespace weir::bench
