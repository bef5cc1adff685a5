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
      cluster_size_(saving.layout_.cluster_size()),
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
  const std::size_t payload_bytes = cluster_size_.payload_bytes();
  auto payload = os::OffHeapArray<std::uint64_t>::create(payload_bytes / sizeof(std::uint64_t));
  if (!payload) return Unexpected(payload.error());
  payload_ = std::move(*payload);
  auto encoded = os::OffHeapArray<std::byte>::create(
      std::max(encoder_->bound(payload_bytes), cluster_size_.most_stored()));
  if (!encoded) return Unexpected(encoded.error());
  encoded_ = std::move(*encoded);
  // What an encoder allocates at its first use, it has now.
  const auto tried = encoder_->encode(std::as_bytes(payload_.span()), encoded_.span());
  if (!tried) return Unexpected(tried.error());
  return {};
}

void ClusterSaver::begin(Range range) {
  range_ = range;
  is_empty_ = true;
}

std::uint8_t* ClusterSaver::metadata_of(Address a) const {
  auto& self = const_cast<ClusterSaver&>(*this);
  return self.cluster().metadata() + (a - range_.begin) / heap::kGranuleBytes;
}

void ClusterSaver::save_region_cluster(Range range, image::ClusterEntry& entry) {
  begin(range);
  const heap::Region& region = space_.region();
  const heap::BlockIndex index = region.block_of(range.begin);
  const heap::Block& block = region.block(index);
  if (block.state() == heap::BlockState::large) {
    for (Address at = range.begin; at < range.end();) {
      const heap::LargeObject* object = space_.large_object(at);
      if (object == nullptr) {
        at = at + region.unit_bytes();
        continue;
      }
      if (space_.is_marked(object->range.begin))
        add_and_count({object->range, object->kind}, object->range.begin, entry);
      at = object->range.begin + object->units * region.unit_bytes();
    }
  } else if (block.has_survivors() && block.has_small_objects()) {
    const heap::Metadata& metadata = space_.metadata();
    for (Address at = metadata.start_at_or_before(range.begin, region.range_of(index).begin);
         at < range.end(); at = metadata.next_start(at, range.end()))
      if (metadata.load(at).is_object() && space_.is_marked(at))
        add_and_count(space_.describe(at), at, entry);
  }
  end(entry);
}

void ClusterSaver::save_compacted(const Compaction& compaction, std::size_t cluster,
                                  image::ClusterEntry& entry) {
  begin({saving_.layout_.compact_begin() + cluster * cluster_size_.bytes(), cluster_size_.bytes()});
  compaction.for_each_in(cluster, [&](const heap::Found& object, Address placed) {
    add_and_count(object, placed, entry);
  });
  end(entry);
}

// `placed`: where it begins in the file, if all lay there as it is in the file.
void ClusterSaver::add(const heap::Found& object, Address placed, image::ClusterEntry& entry) {
  if (is_empty_) std::memset(payload_.data(), 0, cluster_size_.payload_bytes());
  is_empty_ = false;
  const Range part = Range{placed, object.range.size}.intersection(range_);
  std::memcpy(cluster().objects().data() + (part.begin - range_.begin),
              (object.range.begin + (part.begin - placed)).as(), part.size);
  if (part.end() < range_.end() && *metadata_of(part.end()) == 0)
    *metadata_of(part.end()) = heap::MetadataByte::free_start().value();
  if (placed < range_.begin) {
    entry.continues = static_cast<std::uint32_t>(
        (range_.begin - placed.align_down(cluster_size_.bytes())) / cluster_size_.bytes());
  } else {
    *metadata_of(placed) = object.kind.start_byte().value();
    const Address second = placed + heap::kGranuleBytes;
    const std::uint8_t kind = object.kind.number();
    std::uint8_t& number = second < range_.end() ? *metadata_of(second) : entry.last_kind;
    if (kind != 0) number = saving_.layout_.number_of(kind);
  }
  trace(object, placed, part);
}

void ClusterSaver::add_and_count(const heap::Found& object, Address placed,
                                 image::ClusterEntry& entry) {
  add(object, placed, entry);
  if (placed < range_.begin) return;
  const heap::KindTag kind = object.kind;
  Count& count = kind.number() != 0 ? defined[kind.number()]
                                    : built_in[static_cast<std::size_t>(kind.trace_class())];
  ++count.objects;
  count.bytes += object.range.size;
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

void ClusterSaver::end(image::ClusterEntry& entry) {
  if (is_empty_) return;
  if (*metadata_of(range_.begin) == 0 && entry.continues == 0)
    *metadata_of(range_.begin) = heap::MetadataByte::free_start().value();
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
  if (image.is_absent(range)) return;
  if (part.is_copied) {
    const std::size_t index = image.segments()[part.image_segment]->cluster_of(range.begin);
    const bool is_there = image.pager().settled_state(index) == image::ClusterState::filled;
    const bool is_as_saved =
        !image.pager().has_removed(index) && !(is_there && from.escaped->is_modified(index));
    if (is_as_saved) return copy(from, index, entry);
  }
  if (!image.bring_in(range)) return fail_damaged();
  begin(range);
  image.for_each_object_on(range, [&](const heap::Found& object, Range on) {
    // Once, where the image has several clusters on it.
    if (on.begin == object.range.begin || on.begin == range.begin)
      add(object, object.range.begin, entry);
  });
  end(entry);
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
