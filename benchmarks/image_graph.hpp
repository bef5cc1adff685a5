// An object graph of a given size for the benchmarks of images: tables, chained entries and
// strings, as interpreters have them; saved once for each codec and size, and removed when the
// program ends.
#pragma once

#include <weir/weir.h>

#include <cstddef>
#include <string>

namespace weir::bench {

// The file. Ends the program with a sentence if it cannot be made.
const std::string& saved_image(weir_codec codec, std::size_t mib);
// The same graph in a heap, and its root; kept by `slot`, a slot of a frame.
void build_graph(weir_mutator* mutator, std::size_t mib, void** slot);

void must(weir_status status);  // else the program ends with the sentence

}  // namespace weir::bench
