// The numbers of the image format; docs/image-format.md has every byte.
//
//   | header | cluster | cluster | ... | directory | index |
//    256       compressed, of any size   tables      24 bytes for each cluster
//
// A cluster is a part of a block of the heap, or all of one: when decoded, its objects, the
// metadata byte of each granule, and a bit for each word that is an address and has to be
// translated when the image is opened elsewhere. ClusterSize has what follows from its size.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace weir::image {

inline constexpr std::array<unsigned char, 8> kMagic{0x89, 'W', 'E', 'I', 'R', '\r', '\n', 0x1a};
inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kByteOrder = 0x01020304;  // as the machine that saved has it
inline constexpr std::size_t kHeaderBytes = 256;
inline constexpr std::size_t kIndexEntryBytes = 24;

// What a reader accepts at most, so that a damaged number cannot make it ask for absurd memory.
inline constexpr std::size_t kMostClusters = std::size_t{1} << 24;  // 1 TiB of the largest
inline constexpr std::size_t kMostDirectoryBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMostUserBytes = std::size_t{32} << 20;
inline constexpr std::size_t kMostSegments = 64;
inline constexpr std::size_t kMostNameBytes = 4096;

}  // namespace weir::image
