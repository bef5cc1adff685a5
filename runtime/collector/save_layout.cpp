#include "runtime/collector/save_layout.hpp"

#include <algorithm>

#include "runtime/collector/heap.hpp"

namespace weir::collector {
namespace {

constexpr const char* kWhat = "saving a heap image";

Unexpected invalid(const std::string& why) {
  return fail(ErrorCode::invalid_argument, kWhat, ErrorText(why));
}

bool is_same(const image::Outside& a, const image::Outside& b) {
  using By = image::Outside::By;
  return a.by == b.by && (a.by == By::name ? a.name == b.name : a.build_id == b.build_id);
}

}  // namespace

Expected<> SaveLayout::prepare(image::ClusterSize size, const std::vector<image::NamedRange>& names,
                               bool modules, bool compact) {
  cluster_size_ = size;
  if (!compact) place_images();
  if (auto done = number_kinds(); !done) return done;
  place_region(compact);
  if (auto done = place_outside(names, modules); !done) return done;
  is_used_ = std::make_unique<std::atomic<bool>[]>(outside_.size());
  parts_.reserve(parts_.size() + 1);  // for the region's, when nothing may be allocated
  if (parts_.size() + 1 > image::kMostSegments)
    return fail(ErrorCode::unsupported, kWhat,
                "it would have more than 64 segments, one for each save since the first", {},
                "Save it compact");
  return {};
}

void SaveLayout::place_region(bool compact) {
  const Range region = heap_.space().region().range();
  region_saved_bytes_ = region.size;
  if (compact) {  // twice: what is left over at their ends is less than half
    for (std::size_t i = 0; i < heap_.images_.size(); ++i)
      for (const auto& segment : heap_.images_[i].image->segments())
        region_saved_bytes_ += segment->range.size;
    region_saved_bytes_ *= 2;
  }
  region_saved_ = free_place(region_saved_bytes_, region.begin);
  if (compact) return;
  region_ = region;
  to_saved_.add(region, region_saved_);
}

// ---- Images -------------------------------------------------------------------------------------

void SaveLayout::place_images() {
  const Images& images = heap_.images_;
  std::vector<const weir_image*> made_anew;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (may_be_copied(images[i]))
      place_image(images[i], true);
    else
      made_anew.push_back(&images[i]);
  }
  for (const weir_image* image : made_anew) place_image(*image, false);
}

bool SaveLayout::may_be_copied(const weir_image& opened) const {
  const image::Image& image = *opened.image;
  if (image.file().cluster_size() != cluster_size_) return false;
  const auto is_outside_parts = [&](Range saved) {
    return std::ranges::none_of(parts_, [&](const Part& part) {
      return saved.overlaps({part.saved, part.range.size});
    });
  };
  const auto is_free = [&](const image::Segment& segment) {
    return is_outside_parts(segment.saved) &&
           std::ranges::none_of(outside_, [&](const Outside& known) {
             return segment.saved.overlaps(known.saved.saved);
           });
  };
  const auto agrees = [&](const image::Image::Referred& referred) {
    const Range saved = referred.outside->saved;
    return is_outside_parts(saved) && std::ranges::all_of(outside_, [&](const Outside& known) {
             return is_same(known.saved, *referred.outside)
                        ? known.saved.saved == saved && known.here == referred.here
                        : !known.saved.saved.overlaps(saved);
           });
  };
  const auto& numbers = image.conversion().kinds.kinds;
  for (std::size_t number = 1; number < numbers.size(); ++number) {
    const std::uint8_t here = numbers[number].number;
    if (here == 0) continue;
    const bool is_taken = std::ranges::find(number_of_, number) != number_of_.end();
    if (number_of_[here] != 0 ? number_of_[here] != number : is_taken) return false;
  }
  return std::ranges::all_of(image.file().directory().segments, is_free) &&
         std::ranges::all_of(image.referred(), agrees);
}

void SaveLayout::place_image(const weir_image& opened, bool is_copied) {
  const image::Image& image = *opened.image;
  for (std::size_t i = 0; i < image.segments().size(); ++i) {
    const image::Image::Segment& segment = *image.segments()[i];
    const Address saved =
        is_copied ? segment.saved.begin : free_place(segment.range.size, segment.range.begin);
    parts_.push_back({segment.range, saved, &opened, i, is_copied, 0});
    to_saved_.add(segment.range, saved);
  }
  if (!is_copied) return;
  keep_outside(image);
  const auto& numbers = image.conversion().kinds.kinds;
  for (std::size_t number = 1; number < numbers.size(); ++number)
    if (numbers[number].number != 0)
      number_of_[numbers[number].number] = static_cast<std::uint8_t>(number);
}

void SaveLayout::keep_outside(const image::Image& image) {
  for (const auto& [outside, here] : image.referred())
    if (find_outside(*outside) == nullptr) outside_.push_back({*outside, here, true});
}

// ---- Kinds --------------------------------------------------------------------------------------

// Those that images have not numbered already.
Expected<> SaveLayout::number_kinds() {
  const heap::Kinds& kinds = heap_.space().kinds();
  std::uint8_t next = 1;
  for (std::size_t number = 1; number < kinds.count(); ++number) {
    if (number_of_[number] == 0) {
      while (std::ranges::find(number_of_, next) != number_of_.end()) ++next;
      number_of_[number] = next;
    }
    const heap::Kind& kind = kinds.by_number(static_cast<std::uint8_t>(number));
    if (kind.name.size() > image::kMostNameBytes) return invalid("a kind has a very long name");
    kinds_.push_back(
        {number_of_[number], kind.tag.trace_class(), kind.name, kind.bitmap_words, kind.bitmap});
  }
  return {};
}

// ---- Outside ------------------------------------------------------------------------------------

Address SaveLayout::free_place(std::size_t bytes, Address wanted) const {
  Range place{wanted, bytes};
  const auto is_moved = [&](Range taken) {
    if (!place.overlaps(taken)) return false;
    place.begin = taken.end().align_up(heap::kBlockBytes);
    return true;
  };
  const Range region{region_saved_, region_saved_bytes_};
  for (bool moved = true; moved;) {
    moved = region_saved_ != Address() && is_moved(region);
    moved = moved || std::ranges::any_of(parts_, [&](const Part& part) {
              return is_moved({part.saved, part.range.size});
            });
    moved = moved || std::ranges::any_of(outside_, [&](const Outside& outside) {
              return is_moved(outside.saved.saved);
            });
  }
  return place.begin;
}

const SaveLayout::Outside* SaveLayout::find_outside(const image::Outside& outside) const {
  const auto found = std::ranges::find_if(
      outside_, [&](const Outside& known) { return is_same(known.saved, outside); });
  return found != outside_.end() ? &*found : nullptr;
}

Expected<> SaveLayout::add_outside(image::Outside outside, Range here) {
  if (const Outside* known = find_outside(outside)) {
    if (known->here != here)
      return invalid("'" + outside.name + "' is the name of other memory in an image that is open");
    return {};
  }
  outside.saved = {free_place(here.size, here.begin), here.size};
  outside_.push_back({std::move(outside), here, false});
  return {};
}

Expected<> SaveLayout::place_outside(const std::vector<image::NamedRange>& names, bool modules) {
  using By = image::Outside::By;
  for (std::size_t i = 0; i < heap_.images_.size(); ++i)  // kept already, if it is copied
    for (const auto& [outside, here] : heap_.images_[i].image->referred())
      if (auto done = add_outside(*outside, here); !done) return done;
  for (const image::NamedRange& named : names) {
    if (named.range.empty() || named.name.empty() || named.name.size() > image::kMostNameBytes)
      return invalid("a named range is empty, or has no name");
    if (auto done = add_outside({By::name, named.name, {}, {}}, named.range); !done) return done;
  }
  if (modules)
    for (image::Module& module : image::loaded_modules()) {
      if (module.build_id.empty()) {
        without_id_.push_back(module.range);
        continue;
      }
      if (auto done = add_outside({By::module, module.name, module.build_id, {}}, module.range);
          !done)
        return done;
    }
  // As a reader looks addresses up: names, which may lie in a module, before modules.
  for (const By by : {By::name, By::module})
    for (const Outside& outside : outside_)
      if (outside.saved.by == by) to_saved_.add(outside.here, outside.saved.saved.begin);
  return {};
}

std::vector<image::Outside> SaveLayout::used_outside() const {
  std::vector<image::Outside> used;
  for (std::size_t i = 0; i < outside_.size(); ++i)
    if (outside_[i].is_kept || is_used_[i]) used.push_back(outside_[i].saved);
  return used;
}

// ---- The world is stopped -----------------------------------------------------------------------

Expected<std::optional<Address>> SaveLayout::to_saved(Address address) {
  const auto saved = to_saved_(address);
  if (!saved) {
    for (const Range& module : without_id_)
      if (module.contains(address))
        return fail(ErrorCode::unsupported, kWhat,
                    "a slot refers to a library that was linked without a build id", {address, 1},
                    "Link it with -Wl,--build-id, or give the address a name");
    return saved;
  }
  for (std::size_t i = 0; i < outside_.size(); ++i)
    if (outside_[i].saved.saved.contains(*saved))
      is_used_[i].store(true, std::memory_order_relaxed);
  return saved;
}

void SaveLayout::add_region(Range range) {
  if (!range.empty()) parts_.push_back({range, *to_saved_(range.begin), nullptr, 0, false, 0});
}

void SaveLayout::add_compact(std::size_t bytes) {
  if (bytes == 0) return;
  const Address end = (region_saved_ + bytes).align_up(heap::kBlockBytes);
  parts_.push_back({Range::between(region_saved_, end), region_saved_, nullptr, 0, false, 0});
}

std::size_t SaveLayout::number_clusters() {
  std::ranges::sort(parts_, {}, &Part::saved);
  std::size_t clusters = 0;
  for (Part& part : parts_) {
    part.first_cluster = clusters;
    clusters += part.range.size / cluster_size_.bytes();
  }
  return clusters;
}

const SaveLayout::Part& SaveLayout::part_of(std::size_t cluster) const {
  return *(std::ranges::upper_bound(parts_, cluster, {}, &Part::first_cluster) - 1);
}

bool SaveLayout::is_in_place() const {
  return std::ranges::all_of(parts_,
                             [](const Part& part) { return part.saved == part.range.begin; });
}

}  // namespace weir::collector
