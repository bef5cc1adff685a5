#include "runtime/collector/saving.hpp"

#include <algorithm>
#include <random>
#include <set>

#include "runtime/collector/cluster_saver.hpp"
#include "runtime/collector/heap.hpp"
#include "runtime/collector/image_tracer.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::collector {
namespace {

constexpr const char* kWhat = "saving a heap image";

Unexpected invalid(const std::string& why, const char* advice = "") {
  return fail(ErrorCode::invalid_argument, kWhat, ErrorText(why), {}, advice);
}

std::uint64_t random_id() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

}  // namespace

Saving::Saving(Heap& heap, const SaveOptions& options)
    : heap_(heap), options_(options), layout_(heap) {}
Saving::~Saving() = default;

Expected<> Saving::prepare(const std::string& path) {
  images_ = heap_.images_.size();
  kinds_ = heap_.space().kinds().count();
  if (auto right = check_roots(); !right) return right;
  const auto size = cluster_size();
  if (!size) return Unexpected(size.error());
  if (auto done = layout_.prepare(*size, options_.names, options_.modules, options_.compact); !done)
    return done;
  if (options_.compact) compaction_.emplace(heap_, *size);
  const unsigned threads =
      options_.threads != 0 ? std::min(options_.threads, heap_.team_.size()) : heap_.team_.size();
  for (unsigned i = 0; i < threads; ++i) {
    auto saver = ClusterSaver::create(*this, options_.codec);
    if (!saver) return Unexpected(saver.error());
    savers_.push_back(std::move(*saver));
  }
  auto writer = image::ImageWriter::create(path);
  if (!writer) return Unexpected(writer.error());
  writer_ = std::move(*writer);
  return {};
}

Expected<> Saving::check_roots() const {
  std::set<std::string> names;
  for (const auto& [name, object] : options_.roots) {
    const bool is_name =
        !name.empty() && name.size() <= image::kMostNameBytes &&
        std::ranges::none_of(name, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
    if (!is_name) return invalid("a root's name is empty, very long, or not printable");
    if (!names.insert(name).second) return invalid("two roots are called '" + name + "'");
  }
  if (options_.user_data.size() > image::kMostUserBytes)
    return invalid("more than 32 MiB of user data");
  return {};
}

Expected<image::ClusterSize> Saving::cluster_size() const {
  if (options_.cluster_bytes == 0)
    return images_ == 0 ? image::ClusterSize() : heap_.images_[0].image->file().cluster_size();
  if (!image::ClusterSize::is_valid(options_.cluster_bytes))
    return invalid("clusters of " + std::to_string(options_.cluster_bytes) +
                   " bytes: it has to be a power of two from " + std::to_string(os::page_size()) +
                   " to " + std::to_string(heap::kBlockBytes));
  return image::ClusterSize(options_.cluster_bytes);
}

// What the file calls an address; nothing: it leads to what is not translated.
std::optional<Address> Saving::to_saved(Address address) {
  if (const auto known = layout_.in_region(address)) return known;
  if (compaction_ && compaction_->contains(address)) return compaction_->to_saved(address);
  const auto saved = layout_.to_saved(address);
  if (saved) return *saved;
  fail_with(saved.error());
  return std::nullopt;
}

void Saving::fail_with(const Error& error) {
  const std::lock_guard guard(error_lock_);
  if (!has_failed_.exchange(true)) error_ = error;
}

// ---- The world is stopped -----------------------------------------------------------------------

void Saving::run() {
  if (heap_.images_.size() != images_)
    return fail_with(fail(ErrorCode::busy, kWhat, "an image was opened at the same time").value());
  if (heap_.space().kinds().count() != kinds_)
    return fail_with(fail(ErrorCode::busy, kWhat, "a kind was defined at the same time").value());
  if (compaction_) {
    compact();
  } else {
    heap_.space().begin_marking();
    mark_reachable();
    lay_out();
  }
  make_index();
  if (!has_failed_) heap_.team_.run(heap_.team_.size(), [this](unsigned index) { encode(index); });
  if (!compaction_) heap_.space().undo_marking();
  if (!has_failed_) tell_progress(index_.size());
}

void Saving::tell_progress(std::size_t done) const {
  if (options_.progress != nullptr) options_.progress(done, index_.size(), options_.progress_data);
}

void Saving::compact() {
  if (auto done = compaction_->trace(options_.roots); !done) return fail_with(done.error());
  if (auto done = compaction_->place(layout_.compact_begin()); !done)
    return fail_with(done.error());
  layout_.add_compact(compaction_->bytes());
}

void Saving::mark_reachable() {
  Marker first(heap_.space(), heap_.format(), heap_.pool_, Scope::all, Marker::Counting::rough,
               nullptr);
  for (const auto& [name, object] : options_.roots) first.add(object);
  const auto mark = [&](Address, Address slot, Address target) { first.edge(slot, target); };
  ImageTracer tracer(heap_.space(), heap_.format(), mark);
  for (std::size_t i = 0; i < heap_.images_.size(); ++i)
    heap_.images_[i].escaped->for_each(
        [&](Range page) { (void)tracer.trace(*heap_.images_[i].image, page); });
  heap_.pool_.restart();
  first.flush();
  const unsigned markers = heap_.team_.size();
  heap_.team_.run(markers, [&](unsigned index) {
    if (index == 0) return first.run(markers);
    Marker marker(heap_.space(), heap_.format(), heap_.pool_, Scope::all, Marker::Counting::rough,
                  nullptr);
    marker.run(markers);
  });
}

// Which blocks become which clusters.
void Saving::lay_out() {
  const heap::Region& region = heap_.space().region();
  std::size_t first = heap_.space().frontier();
  std::size_t past = 0;
  for (std::size_t i = 0; i < heap_.space().frontier(); ++i) {
    const heap::Block& block = region.block(heap::BlockIndex(i));
    if (block.state() != heap::BlockState::large && !block.has_survivors()) continue;
    first = std::min(first, i);
    past = i + 1;
  }
  if (past != 0)
    layout_.add_region(Range::between(region.range_of(heap::BlockIndex(first)).begin,
                                      region.range_of(heap::BlockIndex(past - 1)).end()));
}

void Saving::make_index() {
  const std::size_t clusters = layout_.number_clusters();
  if (clusters > image::kMostClusters)
    return fail_with(fail(ErrorCode::unsupported, kWhat, "an image has at most 16777216 clusters",
                          {}, "Save it with larger ones")
                         .value());
  auto index = os::OffHeapArray<image::ClusterEntry>::create(clusters);
  if (!index) return fail_with(index.error());
  index_ = std::move(*index);
}

void Saving::encode(unsigned worker) {
  if (worker >= savers_.size()) return;
  for (std::size_t cluster = next_.fetch_add(1); cluster < index_.size();
       cluster = next_.fetch_add(1)) {
    if (has_failed_.load(std::memory_order_relaxed)) return;
    if (worker == 0) tell_progress(cluster);
    if (compaction_) {
      savers_[worker]->save_compacted(*compaction_, cluster, index_[cluster]);
      continue;
    }
    const SaveLayout::Part& part = layout_.part_of(cluster);
    const std::size_t size = layout_.cluster_size().bytes();
    const Range range{part.range.begin + (cluster - part.first_cluster) * size, size};
    if (part.image == nullptr)
      savers_[worker]->save_region_cluster(range, index_[cluster]);
    else
      savers_[worker]->save_image_cluster(part, range, index_[cluster]);
  }
}

// ---- It goes on ---------------------------------------------------------------------------------

Expected<> Saving::finish() {
  if (has_failed_) return Unexpected(error_);
  image::Directory directory;
  image::Header header;
  header.is_fixed = is_fixed_;
  count_objects(header, directory.counts);
  if (header.is_fixed && (compaction_ || !layout_.is_in_place()))
    return fail(ErrorCode::unsupported, kWhat,
                "it has conservative objects, and something has another address in the file", {},
                "Open images at their own addresses, and do not save compact");
  std::set<std::string> names;
  for (const image::SavedKind& kind : layout_.kinds()) {
    const auto known = std::ranges::find(directory.counts, kind.number, &image::SavedCount::number);
    if (known == directory.counts.end()) continue;
    if (!names.insert(kind.name).second)
      return invalid("two kinds are called '" + kind.name + "', and could not be told apart");
    directory.kinds.push_back(kind);
  }
  for (const SaveLayout::Part& part : layout_.parts()) {
    const std::uint64_t identity = compaction_ ? random_id()
                                   : part.image != nullptr
                                       ? part.image->image->segments()[part.image_segment]->identity
                                       : heap_.identity_of(part.range.begin);
    directory.segments.push_back({{part.saved, part.range.size}, identity});
  }
  directory.outside = layout_.used_outside();
  for (const auto& [name, object] : options_.roots)
    directory.roots.push_back({name, to_saved(object).value_or(Address())});
  directory.user_data = options_.user_data;

  header.cluster_size = layout_.cluster_size();
  header.page_bytes = static_cast<std::uint32_t>(os::page_size());
  header.image_id = random_id();
  header.slot_mask = heap_.format().slot_mask;
  header.slot_shift = heap_.format().slot_shift;
  header.conservative_mask = heap_.format().conservative_mask;
  return writer_->finish(header, directory, index_.span());
}

// What is copied of images, and what was made of the heap; compact, all was made.
void Saving::count_objects(image::Header& header, std::vector<image::SavedCount>& counts) const {
  const heap::Kinds& kinds = heap_.space().kinds();
  const auto count = [&](std::uint8_t number, heap::TraceClass trace, std::uint64_t objects,
                         std::uint64_t bytes) {
    if (objects == 0) return;
    header.objects += objects;
    header.object_bytes += bytes;
    const auto known = std::ranges::find_if(
        counts, [&](const image::SavedCount& c) { return c.number == number && c.trace == trace; });
    if (known == counts.end()) {
      counts.push_back({number, trace, objects, bytes});
    } else {
      known->objects += objects;
      known->bytes += bytes;
    }
  };
  for (std::size_t i = 0; i < images_ && !compaction_; ++i) {
    const image::Image& image = *heap_.images_[i].image;
    header.is_fixed = header.is_fixed || image.file().header().is_fixed;
    for (const image::SavedCount& had : image.file().directory().counts)
      count(layout_.number_of(image.conversion().kinds.kinds[had.number].number), had.trace,
            had.objects, had.bytes);
  }
  for (const auto& saver : savers_) {
    for (std::size_t trace = 0; trace < saver->built_in.size(); ++trace)
      count(0, static_cast<heap::TraceClass>(trace), saver->built_in[trace].objects,
            saver->built_in[trace].bytes);
    for (std::size_t number = 1; number < kinds.count(); ++number) {
      const heap::Kind& kind = kinds.by_number(static_cast<std::uint8_t>(number));
      count(layout_.number_of(static_cast<std::uint8_t>(number)), kind.tag.trace_class(),
            saver->defined[number].objects, saver->defined[number].bytes);
    }
  }
}

}  // namespace weir::collector
