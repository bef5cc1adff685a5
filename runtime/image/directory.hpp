// The tables of an image: where its clusters belong, kinds by name, roots, what it refers to
// outside of the heap, and the embedder's own bytes.
#pragma once

#include <string>
#include <vector>
#include <weir/address.hpp>
#include <weir/error.hpp>

#include "runtime/heap/kinds.hpp"
#include "runtime/image/header.hpp"

namespace weir::image {

// Clusters at consecutive addresses, whole blocks of them. Addresses in a file are *saved
// addresses*: those of the heap that was saved, as a rule. Where ranges overlap, segments come
// before named ranges, and these before modules.
struct Segment {
  Range saved;
  std::uint64_t identity = 0;  // of its first byte, see weir_identity_hash
};

struct SavedKind {
  std::uint8_t number = 0;  // in the clusters' metadata
  heap::TraceClass trace = heap::TraceClass::free;
  std::string name;
  std::size_t bitmap_words = 0;
  std::vector<std::uint64_t> bitmap;
};

// How many objects of a kind there are; `number` 0 is a built-in kind, by its trace class.
struct SavedCount {
  std::uint8_t number = 0;
  heap::TraceClass trace = heap::TraceClass::free;
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};

struct SavedRoot {
  std::string name;
  Address saved;
};

// A range outside the heap that words of the image point into.
struct Outside {
  enum class By : std::uint8_t { name, module };
  By by = By::name;
  std::string name;      // the embedder's; of a module, its file's, for messages
  std::string build_id;  // of a module, as bytes
  Range saved;
};

struct Directory {
  std::vector<Segment> segments;  // by address
  std::vector<SavedKind> kinds;
  std::vector<SavedCount> counts;
  std::vector<SavedRoot> roots;
  std::vector<Outside> outside;
  std::vector<std::byte> user_data;

  std::size_t clusters(ClusterSize size) const;
  // The segment that a saved address lies in; nullptr: none.
  const Segment* find(Address saved) const;
  const SavedKind* find_kind(std::uint8_t number) const;
};

ByteWriter encode(const Directory& directory, ClusterSize size);
// Everything in it has been checked afterwards, against itself and the header.
Expected<Directory> decode_directory(Bytes bytes, const Header& header);

}  // namespace weir::image
