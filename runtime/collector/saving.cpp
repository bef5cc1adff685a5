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

Saving::Saving(Heap& heap, const SaveOptions& options) : heap_(heap), options_(options) {}
Saving::~Saving() = default;

Expected<> Saving::prepare(const std::string& path) {
  images_ = heap_.images_.size();
  if (auto right = check_roots(); !right) return right;
  if (heap_.images_.size() > 1)
    return fail(ErrorCode::unsupported, kWhat,
                "the heap has several images open, and their files "
                "use the same addresses for different things");
  if (auto done = number_kinds(); !done) return done;
  if (auto done = place_outside(); !done) return done;
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

// Numbers of the image that is copied from stay what they are.
Expected<> Saving::number_kinds() {
  const heap::Kinds& kinds = heap_.space().kinds();
  std::array<bool, heap::Kinds::kMaxKinds + 1> is_taken{};
  if (heap_.images_.size() != 0) {
    const auto& known = heap_.images_[0].image->conversion().kinds.kinds;
    for (std::size_t number = 1; number < known.size(); ++number) {
      if (known[number].number == 0) continue;
      number_of_[known[number].number] = static_cast<std::uint8_t>(number);
      is_taken[number] = true;
    }
  }
  std::uint8_t next = 1;
  for (std::size_t number = 1; number < kinds.count(); ++number) {
    if (number_of_[number] == 0) {
      while (is_taken[next]) ++next;
      is_taken[next] = true;
      number_of_[number] = next;
    }
    const heap::Kind& kind = kinds.by_number(static_cast<std::uint8_t>(number));
    if (kind.name.size() > image::kMostNameBytes) return invalid("a kind has a very long name");
    kinds_.push_back(
        {number_of_[number], kind.tag.trace_class(), kind.name, kind.bitmap_words, kind.bitmap});
  }
  return {};
}

Address Saving::free_place(std::size_t bytes, Address wanted) const {
  Range place{wanted, bytes};
  const auto is_moved = [&](Range taken) {
    if (!place.overlaps(taken)) return false;
    place.begin = taken.end().align_up(image::kClusterBytes);
    return true;
  };
  for (bool moved = true; moved;) {
    moved = std::ranges::any_of(parts_, [&](const Part& part) {
      return is_moved({part.saved, part.range.size});
    });
    moved = moved || std::ranges::any_of(outside_, [&](const image::Outside& outside) {
              return is_moved(outside.saved);
            });
  }
  return place.begin;
}

void Saving::add_outside(image::Outside outside, Range here) {
  to_saved_.add(here, outside.saved.begin);
  outside_.push_back(std::move(outside));
}

// Everything that words may lead to, and what the file calls it.
Expected<> Saving::place_outside() {
  using By = image::Outside::By;
  const heap::Region& region = heap_.space().region();
  std::vector<image::Module> modules;
  if (options_.modules) modules = image::loaded_modules();
  const auto add_known = [&](By by) {  // by the image that is copied from
    if (heap_.images_.size() == 0) return;
    const image::Image& image = *heap_.images_[0].image;
    for (const image::Outside& outside : image.file().directory().outside)
      if (outside.by == by)
        if (const auto here = image.outside_here(outside))
          add_outside(outside, {*here, outside.saved.size});
  };
  const auto is_known = [&](By by, const std::string& key) {
    return std::ranges::any_of(outside_, [&](const image::Outside& outside) {
      return outside.by == by && (by == By::name ? outside.name : outside.build_id) == key;
    });
  };
  if (heap_.images_.size() != 0) {
    const weir_image& image = heap_.images_[0];
    for (std::size_t i = 0; i < image.image->segments().size(); ++i) {
      const auto& segment = *image.image->segments()[i];
      parts_.push_back({segment.range, segment.saved.begin, &image, i, 0});
      to_saved_.add(segment.range, segment.saved.begin);
    }
  }
  add_known(By::name);
  add_known(By::module);
  known_outside_ = outside_.size();
  to_saved_.add(region.range(), free_place(region.range().size, region.range().begin));
  for (const image::NamedRange& named : options_.names) {
    if (named.range.empty() || named.name.empty() || named.name.size() > image::kMostNameBytes)
      return invalid("a named range is empty, or has no name");
    if (is_known(By::name, named.name)) continue;
    add_outside({By::name,
                 named.name,
                 {},
                 {free_place(named.range.size, named.range.begin), named.range.size}},
                named.range);
  }
  for (const image::Module& module : modules) {
    if (module.build_id.empty()) {
      without_id_.push_back(module.range);
      continue;
    }
    if (is_known(By::module, module.build_id)) continue;
    add_outside({By::module, module.name, module.build_id, module.range}, module.range);
  }
  is_used_ = std::make_unique<std::atomic<bool>[]>(outside_.size());
  parts_.reserve(parts_.size() + 1);  // for the region's, when nothing may be allocated
  if (parts_.size() + 1 > image::kMostSegments)
    return fail(ErrorCode::unsupported, kWhat,
                "it would be the 64th image that was saved from one that was opened");
  return {};
}

std::optional<Address> Saving::to_saved(Address address) {
  const auto saved = to_saved_(address);
  if (!saved) {
    for (const Range& module : without_id_)
      if (module.contains(address))
        fail_with(fail(ErrorCode::unsupported, kWhat,
                       "a slot refers to a library that was linked without a build id",
                       {address, 1}, "Link it with -Wl,--build-id, or give the address a name")
                      .value());
    return saved;
  }
  for (std::size_t i = 0; i < outside_.size(); ++i)
    if (outside_[i].saved.contains(*saved)) is_used_[i].store(true, std::memory_order_relaxed);
  return saved;
}

void Saving::fail_with(const Error& error) {
  const std::lock_guard guard(error_lock_);
  if (!has_failed_.exchange(true)) error_ = error;
}

// ---- The world is stopped -----------------------------------------------------------------------

void Saving::run() {
  if (heap_.images_.size() != images_)
    return fail_with(fail(ErrorCode::busy, kWhat, "an image was opened at the same time").value());
  heap_.space().begin_marking();
  mark_reachable();
  lay_out();
  if (!has_failed_) heap_.team_.run(heap_.team_.size(), [this](unsigned index) { encode(index); });
  heap_.space().undo_marking();
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
  if (past != 0) {
    const Range range = Range::between(region.range_of(heap::BlockIndex(first)).begin,
                                       region.range_of(heap::BlockIndex(past - 1)).end());
    parts_.push_back({range, *to_saved_(range.begin), nullptr, 0, 0});
  }
  std::ranges::sort(parts_, {}, &Part::saved);
  std::size_t clusters = 0;
  for (Part& part : parts_) {
    part.first_cluster = clusters;
    clusters += part.range.size / image::kClusterBytes;
  }
  if (clusters > image::kMostClusters)
    return fail_with(fail(ErrorCode::unsupported, kWhat, "an image has at most 1 TiB").value());
  auto index = os::OffHeapArray<image::ClusterEntry>::create(clusters);
  if (!index) return fail_with(index.error());
  index_ = std::move(*index);
}

void Saving::encode(unsigned worker) {
  if (worker >= savers_.size()) return;
  for (std::size_t cluster = next_.fetch_add(1); cluster < index_.size();
       cluster = next_.fetch_add(1)) {
    if (has_failed_.load(std::memory_order_relaxed)) return;
    const auto part = std::ranges::upper_bound(parts_, cluster, {}, &Part::first_cluster) - 1;
    const Range range{part->range.begin + (cluster - part->first_cluster) * image::kClusterBytes,
                      image::kClusterBytes};
    if (part->image == nullptr) {
      savers_[worker]->save_block(heap_.space().region().block_of(range.begin), index_[cluster]);
      continue;
    }
    const auto& segment = *part->image->image->segments()[part->image_segment];
    savers_[worker]->save_image_cluster(*part->image, range,
                                        segment.first_cluster + (cluster - part->first_cluster),
                                        index_[cluster]);
  }
}

// ---- It goes on ---------------------------------------------------------------------------------

Expected<> Saving::finish() {
  if (has_failed_) return Unexpected(error_);
  image::Directory directory;
  image::Header header;
  if (heap_.images_.size() != 0) {
    const image::ImageFile& file = heap_.images_[0].image->file();
    directory.counts = file.directory().counts;
    header.objects = file.header().objects;
    header.object_bytes = file.header().object_bytes;
    header.is_fixed = file.header().is_fixed;
  }
  const auto count = [&](std::uint8_t number, heap::TraceClass trace,
                         const ClusterSaver::Count& more) {
    if (more.objects == 0) return;
    header.objects += more.objects;
    header.object_bytes += more.bytes;
    const auto known = std::ranges::find_if(directory.counts, [&](const image::SavedCount& c) {
      return c.number == number && c.trace == trace;
    });
    if (known == directory.counts.end()) {
      directory.counts.push_back({number, trace, more.objects, more.bytes});
    } else {
      known->objects += more.objects;
      known->bytes += more.bytes;
    }
  };
  for (const auto& saver : savers_) {
    for (std::size_t trace = 0; trace < saver->built_in.size(); ++trace)
      count(0, static_cast<heap::TraceClass>(trace), saver->built_in[trace]);
    for (std::size_t number = 1; number < heap_.space().kinds().count(); ++number)
      count(number_of_[number],
            heap_.space().kinds().by_number(static_cast<std::uint8_t>(number)).tag.trace_class(),
            saver->defined[number]);
  }
  std::set<std::string> names;
  for (const image::SavedKind& kind : kinds_) {
    const auto known = std::ranges::find(directory.counts, kind.number, &image::SavedCount::number);
    if (known == directory.counts.end()) continue;
    if (!names.insert(kind.name).second)
      return invalid("two kinds are called '" + kind.name + "', and could not be told apart");
    directory.kinds.push_back(kind);
  }
  for (const Part& part : parts_) {
    const std::uint64_t identity = part.image != nullptr
                                       ? part.image->image->segments()[part.image_segment]->identity
                                       : heap_.identity_of(part.range.begin);
    directory.segments.push_back({{part.saved, part.range.size}, identity});
  }
  for (std::size_t i = 0; i < outside_.size(); ++i)
    if (is_used_[i] || i < known_outside_) directory.outside.push_back(outside_[i]);
  for (const auto& [name, object] : options_.roots)
    directory.roots.push_back(
        {name, object != Address() ? to_saved_(object).value_or(Address()) : Address()});
  directory.user_data = options_.user_data;

  header.page_bytes = static_cast<std::uint32_t>(os::page_size());
  header.is_fixed = header.is_fixed || is_fixed_;
  header.image_id = random_id();
  header.slot_mask = heap_.format().slot_mask;
  header.slot_shift = heap_.format().slot_shift;
  header.conservative_mask = heap_.format().conservative_mask;
  return writer_->finish(header, directory, index_.span());
}

}  // namespace weir::collector
