#include "runtime/collector/cluster_saver.hpp"

#include <algorithm>
#include <cstring>

#include "runtime/collector/heap.hpp"
#include "runtime/collector/saving.hpp"

namespace weir::collector {
namespace {

constexpr const char* kWhat = "saving a heap image";
// So that slots that lead anywhere are handed on.
constexpr Range kEverywhere{Address(), ~std::size_t{0}};

}  // namespace

ClusterSaver::ClusterSaver(Saving& saving, image::Codec codec)
    : Tracer(saving.heap_.space(), saving.heap_.format(), kEverywhere),
      saving_(saving),
      codec_(codec) {}

Expected<std::unique_ptr<ClusterSaver>> ClusterSaver::create(Saving& saving, image::Codec codec) {
  std::unique_ptr<ClusterSaver> saver(new ClusterSaver(saving, codec));
  if (auto done = saver->set_up(); !done) return Unexpected(done.error());
  return saver;
}

Expected<> ClusterSaver::set_up() {
  auto encoder = image::Encoder::create(codec_);
  if (!encoder) return Unexpected(encoder.error());
  encoder_ = std::move(*encoder);
  auto payload =
      os::OffHeapArray<std::uint64_t>::create(image::kPayloadBytes / sizeof(std::uint64_t));
  if (!payload) return Unexpected(payload.error());
  payload_ = std::move(*payload);
  auto encoded = os::OffHeapArray<std::byte>::create(
      std::max(encoder_->bound(image::kPayloadBytes), image::kMostStored));
  if (!encoded) return Unexpected(encoded.error());
  encoded_ = std::move(*encoded);
  // What an encoder allocates at its first use, it has now.
  const auto tried = encoder_->encode(std::as_bytes(payload_.span()), encoded_.span());
  if (!tried) return Unexpected(tried.error());
  return {};
}

void ClusterSaver::begin(Range range) {
  range_ = range;
  std::memset(payload_.data(), 0, image::kPayloadBytes);
}

std::uint8_t* ClusterSaver::metadata_of(Address a) const {
  auto& self = const_cast<ClusterSaver&>(*this);
  return self.cluster().metadata() + (a - range_.begin) / heap::kGranuleBytes;
}

void ClusterSaver::save_block(heap::BlockIndex index, image::ClusterEntry& entry) {
  const heap::Region& region = space_.region();
  const heap::Block& block = region.block(index);
  const Range range = region.range_of(index);
  bool is_empty = true;
  const auto add_first = [&](const heap::Found& object) {
    if (is_empty) begin(range);
    is_empty = false;
    add(object, object.range.begin, entry);
  };
  if (block.state() == heap::BlockState::large) {
    for (Address at = range.begin; at < range.end();) {
      const heap::LargeObject* object = space_.large_object(at);
      if (object == nullptr) {
        at = at + region.unit_bytes();
        continue;
      }
      if (space_.is_marked(object->range.begin)) add_first({object->range, object->kind});
      at = object->range.begin + object->units * region.unit_bytes();
    }
  } else if (block.has_survivors() && block.has_small_objects()) {
    for (Address at = range.begin; at < range.end();
         at = space_.metadata().next_start(at, range.end()))
      if (space_.metadata().load(at).is_object() && space_.is_marked(at))
        add_first(space_.describe(at));
  }
  if (is_empty) return;
  if (*metadata_of(range.begin) == 0 && entry.continues == 0)
    *metadata_of(range.begin) = heap::MetadataByte::free_start().value();
  append(entry);
}

void ClusterSaver::save_compacted(const Compaction& compaction, std::size_t cluster,
                                  image::ClusterEntry& entry) {
  begin({saving_.layout_.compact_begin() + cluster * image::kClusterBytes, image::kClusterBytes});
  compaction.for_each_in(
      cluster, [&](const heap::Found& object, Address placed) { add(object, placed, entry); });
  append(entry);
}

// `placed`: where it begins in the file, if all lay there as it is in the file.
void ClusterSaver::add(const heap::Found& object, Address placed, image::ClusterEntry& entry) {
  const Range part = Range{placed, object.range.size}.intersection(range_);
  std::memcpy(cluster().objects().data() + (part.begin - range_.begin),
              (object.range.begin + (part.begin - placed)).as(), part.size);
  if (part.end() < range_.end() && *metadata_of(part.end()) == 0)
    *metadata_of(part.end()) = heap::MetadataByte::free_start().value();
  if (placed < range_.begin) {
    entry.continues = static_cast<std::uint32_t>(
        (range_.begin - placed.align_down(image::kClusterBytes)) / image::kClusterBytes);
  } else {
    const heap::KindTag kind = object.kind;
    *metadata_of(part.begin) = kind.start_byte().value();
    if (kind.number() != 0)
      *metadata_of(part.begin + heap::kGranuleBytes) = saving_.layout_.number_of(kind.number());
    Count& count = kind.number() != 0 ? defined[kind.number()]
                                      : built_in[static_cast<std::size_t>(kind.trace_class())];
    ++count.objects;
    count.bytes += object.range.size;
  }
  trace(object, placed, part);
}

void ClusterSaver::trace(const heap::Found& object, Address placed, Range part) {
  displacement_ = placed.value() - object.range.begin.value();
  if (object.kind.trace_class() == heap::TraceClass::callback &&
      space_.kinds().of(object.kind).reaches_off_heap)
    return saving_.fail_with(
        fail(ErrorCode::unsupported, kWhat, ErrorText(space_.kinds().of(object.kind).name.c_str()),
             object.range,
             "Objects of this kind reach memory outside the heap, which an image does not have")
            .value());
  if (object.kind.trace_class() == heap::TraceClass::conservative)
    saving_.is_fixed_.store(true, std::memory_order_relaxed);
  else
    trace_part(object, part.begin - placed, part.end() - placed);
}

void ClusterSaver::visit_words(Range) {
  saving_.is_fixed_.store(true, std::memory_order_relaxed);
}

void ClusterSaver::edge(Address slot, Address target) {
  const Address placed(slot.value() + displacement_);
  if (!range_.contains(placed)) return;
  const std::size_t offset = placed - range_.begin;
  const image::SlotFormat format{format_.slot_mask, format_.slot_shift};
  const std::uintptr_t word = offset % kWordBytes == 0 ? cluster().word(offset) : 0;
  const Address address = format.decode(word);
  if (address.align_down(heap::kGranuleBytes) != target)  // the callback has a coding of its own
    return saving_.is_fixed_.store(true, std::memory_order_relaxed);
  const auto saved = saving_.to_saved(address);
  if (!saved) return;
  const std::uintptr_t written = format.encode(word, *saved);
  if (format.decode(written) != *saved)
    return saving_.fail_with(fail(ErrorCode::unsupported, kWhat,
                                  "the words of slots cannot hold the addresses of the file")
                                 .value());
  cluster().set_word(offset, written);
  cluster().relocate_word(offset);
}

void ClusterSaver::append(image::ClusterEntry& entry) {
  const auto size = encoder_->encode(std::as_bytes(payload_.span()), encoded_.span());
  if (!size) return saving_.fail_with(size.error());
  const image::Bytes bytes = std::as_bytes(encoded_.span()).first(*size);
  entry.codec = codec_;
  entry.stored = static_cast<std::uint32_t>(bytes.size());
  entry.checksum = image::checksum(bytes);
  entry.offset = saving_.writer_->append(bytes);
}

// ---- Images -------------------------------------------------------------------------------------

void ClusterSaver::save_image_cluster(const SaveLayout::Part& part, Range range,
                                      image::ClusterEntry& entry) {
  const weir_image& from = *part.image;
  image::Image& image = *from.image;
  const auto& segment = *image.segments()[part.image_segment];
  const std::size_t cluster_index =
      segment.first_cluster + (range.begin - segment.range.begin) / image::kClusterBytes;
  if (image.file().entry(cluster_index).is_absent()) return;
  const bool is_there = image.pager().settled_state(cluster_index) == image::ClusterState::filled;
  const bool is_as_saved = !image.pager().has_removed(cluster_index) &&
                           !(is_there && from.escaped->is_modified(cluster_index));
  if (part.is_copied && is_as_saved) return copy(from, cluster_index, entry);
  if (!image.bring_in(range)) return fail_damaged();
  begin(range);
  entry.continues = image.file().entry(cluster_index).continues;
  std::memcpy(cluster().objects().data(), range.begin.as(), range.size);
  const heap::Metadata& metadata = image.segment_of(range.begin)->metadata;
  std::memcpy(cluster().metadata(), metadata.at(range.begin), image::kClusterMetadata);
  number_kinds();
  image.for_each_object_on(range, [this](const heap::Found& object, Range on) {
    trace(object, object.range.begin, on);
  });
  append(entry);
}

// From the heap's numbers to the file's.
void ClusterSaver::number_kinds() {
  std::uint8_t* const metadata = cluster().metadata();
  for (std::size_t i = 0; i + 1 < image::kClusterMetadata; ++i)
    if (heap::MetadataByte(metadata[i]).is_object() &&
        !heap::MetadataByte(metadata[i + 1]).is_start() && metadata[i + 1] != 0)
      metadata[i + 1] = saving_.layout_.number_of(metadata[i + 1]);
}

void ClusterSaver::copy(const weir_image& from, std::size_t cluster_index,
                        image::ClusterEntry& entry) {
  const image::ImageFile& file = from.image->file();
  const auto bytes = file.read(cluster_index, encoded_.span());
  if (!bytes) return fail_damaged();
  entry = file.entry(cluster_index);
  entry.offset = saving_.writer_->append(*bytes);
}

void ClusterSaver::fail_damaged() {
  saving_.fail_with(fail(ErrorCode::invalid_argument, kWhat,
                         "a cluster of an image that is open is damaged", {},
                         "`weir image verify` shows which")
                        .value());
}

}  // namespace weir::collector
