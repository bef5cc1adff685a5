#include "runtime/image/directory.hpp"

#include <algorithm>
#include <set>

namespace weir::image {
namespace {

constexpr const char* kWhat = "opening a heap image";
// No address of a process is above it.
constexpr std::uint64_t kMostAddress = std::uint64_t{1} << 57;

Unexpected refused(const std::string& why) {
  return fail(ErrorCode::invalid_argument, kWhat, ErrorText("its directory is wrong: " + why));
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kMostNameBytes &&
         std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool is_range(std::uint64_t begin, std::uint64_t size) {
  return size != 0 && begin != 0 && begin < kMostAddress && size < kMostAddress;
}

Expected<> read_segments(ByteReader& in, Directory& to, ClusterSize size) {
  const std::size_t count = in.u32();
  if (count > kMostSegments) return refused("too many segments");
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    const std::uint64_t begin = in.u64();
    const std::uint64_t clusters = in.u32();
    const std::uint64_t identity = in.u64();
    const Range saved{Address(begin), clusters * size.bytes()};
    if (!is_range(begin, clusters) || !saved.is_aligned(heap::kBlockBytes))
      return refused("a segment at no possible address");
    if (i > 0 && saved.begin < to.segments.back().saved.end())
      return refused("its segments overlap, or are out of order");
    to.segments.push_back({saved, identity});
  }
  return {};
}

Expected<> read_kinds(ByteReader& in, Directory& to) {
  const std::size_t count = in.u32();
  if (count > heap::Kinds::kMaxKinds) return refused("too many kinds");
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    SavedKind kind;
    kind.number = in.u8();
    const std::uint8_t trace = in.u8();
    kind.name = in.text();
    kind.bitmap_words = in.u16();
    for (std::size_t words = (kind.bitmap_words + 63) / 64; words > 0 && in.ok(); --words)
      kind.bitmap.push_back(in.u64());
    if (!in.ok()) break;
    kind.trace = static_cast<heap::TraceClass>(trace);
    if (trace == 0 || trace > static_cast<std::uint8_t>(heap::TraceClass::callback) ||
        kind.number == 0 || kind.number > heap::Kinds::kMaxKinds || !is_name(kind.name) ||
        kind.bitmap_words > heap::Kinds::kMaxBitmapWords ||
        (kind.trace == heap::TraceClass::bitmap) != (kind.bitmap_words != 0))
      return refused("a kind that cannot be");
    if (to.find_kind(kind.number) != nullptr) return refused("two kinds of one number");
    to.kinds.push_back(std::move(kind));
  }
  return {};
}

Expected<> read_counts(ByteReader& in, Directory& to) {
  const std::size_t count = in.u32();
  if (!in.may_hold(count, 18) || count > 2 * heap::Kinds::kMaxKinds)
    return refused("too many counts");
  for (std::size_t i = 0; i < count; ++i) {
    SavedCount counted;
    counted.number = in.u8();
    const std::uint8_t trace = in.u8();
    counted.trace = static_cast<heap::TraceClass>(trace);
    counted.objects = in.u64();
    counted.bytes = in.u64();
    if (trace == 0 || trace > static_cast<std::uint8_t>(heap::TraceClass::callback) ||
        (counted.number != 0 && to.find_kind(counted.number) == nullptr))
      return refused("a count of no kind");
    to.counts.push_back(counted);
  }
  return {};
}

Expected<> read_roots(ByteReader& in, Directory& to) {
  const std::size_t count = in.u32();
  if (!in.may_hold(count, 10)) return refused("too many roots");
  std::set<std::string> names;
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    SavedRoot root;
    root.name = in.text();
    root.saved = Address(in.u64());
    if (!in.ok()) break;
    if (!is_name(root.name) || !names.insert(root.name).second)
      return refused("a root without a name of its own");
    if (root.saved != Address() &&
        (to.find(root.saved) == nullptr || !root.saved.is_aligned(heap::kGranuleBytes)))
      return refused("a root outside of its segments");
    to.roots.push_back(std::move(root));
  }
  return {};
}

Expected<> read_outside(ByteReader& in, Directory& to) {
  const std::size_t count = in.u32();
  if (!in.may_hold(count, 21)) return refused("too many outside ranges");
  for (std::size_t i = 0; i < count && in.ok(); ++i) {
    Outside outside;
    const std::uint8_t by = in.u8();
    outside.by = static_cast<Outside::By>(by);
    outside.name = in.text();
    outside.build_id = in.text();
    const std::uint64_t begin = in.u64();
    const std::uint64_t size = in.u64();
    if (!in.ok()) break;
    outside.saved = {Address(begin), size};
    if (by > static_cast<std::uint8_t>(Outside::By::module) || !is_name(outside.name) ||
        !is_range(begin, size))
      return refused("an outside range that cannot be");
    to.outside.push_back(std::move(outside));
  }
  return {};
}

}  // namespace

std::size_t Directory::clusters(ClusterSize size) const {
  std::size_t count = 0;
  for (const Segment& segment : segments) count += segment.saved.size / size.bytes();
  return count;
}

const Segment* Directory::find(Address saved) const {
  for (const Segment& segment : segments)
    if (segment.saved.contains(saved)) return &segment;
  return nullptr;
}

const SavedKind* Directory::find_kind(std::uint8_t number) const {
  for (const SavedKind& kind : kinds)
    if (kind.number == number) return &kind;
  return nullptr;
}

ByteWriter encode(const Directory& directory, ClusterSize size) {
  ByteWriter out;
  out.u32(static_cast<std::uint32_t>(directory.segments.size()));
  for (const Segment& segment : directory.segments) {
    out.u64(segment.saved.begin.value());
    out.u32(static_cast<std::uint32_t>(segment.saved.size / size.bytes()));
    out.u64(segment.identity);
  }
  out.u32(static_cast<std::uint32_t>(directory.kinds.size()));
  for (const SavedKind& kind : directory.kinds) {
    out.u8(kind.number);
    out.u8(static_cast<std::uint8_t>(kind.trace));
    out.text(kind.name);
    out.u16(static_cast<std::uint16_t>(kind.bitmap_words));
    for (const std::uint64_t word : kind.bitmap) out.u64(word);
  }
  out.u32(static_cast<std::uint32_t>(directory.counts.size()));
  for (const SavedCount& counted : directory.counts) {
    out.u8(counted.number);
    out.u8(static_cast<std::uint8_t>(counted.trace));
    out.u64(counted.objects);
    out.u64(counted.bytes);
  }
  out.u32(static_cast<std::uint32_t>(directory.roots.size()));
  for (const SavedRoot& root : directory.roots) {
    out.text(root.name);
    out.u64(root.saved.value());
  }
  out.u32(static_cast<std::uint32_t>(directory.outside.size()));
  for (const Outside& outside : directory.outside) {
    out.u8(static_cast<std::uint8_t>(outside.by));
    out.text(outside.name);
    out.text(outside.build_id);
    out.u64(outside.saved.begin.value());
    out.u64(outside.saved.size);
  }
  out.u32(static_cast<std::uint32_t>(directory.user_data.size()));
  out.bytes(directory.user_data);
  return out;
}

Expected<Directory> decode_directory(Bytes bytes, const Header& header) {
  ByteReader in(bytes);
  Directory directory;
  if (auto done = read_segments(in, directory, header.cluster_size); !done)
    return Unexpected(done.error());
  for (const auto read : {read_kinds, read_counts, read_roots, read_outside})
    if (auto done = read(in, directory); !done) return Unexpected(done.error());
  const std::size_t user_bytes = in.u32();
  const Bytes user = in.bytes(user_bytes);
  directory.user_data.assign(user.begin(), user.end());
  if (!in.ok()) return refused("it ends too early");
  if (in.left() != 0) return refused("there is more behind its end");
  if (directory.clusters(header.cluster_size) != header.clusters)
    return refused("it is of another number of clusters");
  return directory;
}

}  // namespace weir::image
