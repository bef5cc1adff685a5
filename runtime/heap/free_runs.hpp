// Finds the free runs of a block from its metadata alone: what is not marked in the current epoch
// is dead, and joins the free memory beside it. Dead starts are taken out, so that no address
// resolves to a dead object any more, and each free run gets its start. The block itself is not
// touched [side-metadata]. By whoever owns the block.
#pragma once

#include <cstddef>
#include <weir/address.hpp>

#include "runtime/heap/metadata.hpp"

namespace weir::heap {

struct SweepResult {
  std::size_t usable_granules = 0;  // in free runs of at least kSmallestHole
  std::size_t longest_run = 0;      // granules
};

// Starts in `keep`, which begins with one, are alive whatever their mark.
SweepResult sweep_block(const Metadata& metadata, Range block, unsigned epoch, Range keep = {});

// The first free run in [from, block_end) of at least `bytes`; empty if there is none.
Range next_free_run(const Metadata& metadata, Address from, Address block_end, std::size_t bytes);

}  // namespace weir::heap
