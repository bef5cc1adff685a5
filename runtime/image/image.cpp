#include "runtime/image/image.hpp"

#include <algorithm>

#include "runtime/image/modules.hpp"

namespace weir::image {
namespace {

constexpr const char* kWhat = "opening a heap image";

Unexpected refused(ErrorCode code, const ImageFile& file, const std::string& why,
                   const char* advice = "") {
  return fail(code, kWhat, ErrorText(file.path() + ": " + why), {}, advice);
}

}  // namespace

// Fills one segment by way of the image's pager.
class Image::Source final : public faults::PageSource {
 public:
  Source(Pager& pager, const Segment& segment) : pager_(pager), segment_(segment) {}

  UffdOutcome fill(std::size_t offset, faults::PageFiller& filler) noexcept override {
    const std::size_t missed = offset % segment_.cluster_size.bytes();
    const std::size_t first = offset - missed;
    const Address begin = segment_.range.begin + first;
    return pager_.fill({segment_.cluster_of(begin), first, segment_.metadata.at(begin), missed},
                       filler);
  }
  bool is_filled(std::size_t offset) const noexcept override {
    return pager_.is_there(segment_.cluster_of(segment_.range.begin + offset),
                           offset % segment_.cluster_size.bytes());
  }
  bool is_slow() const noexcept override { return true; }
  void removed(std::size_t offset, std::size_t bytes) noexcept override {
    pager_.removed(segment_.first_cluster, offset, bytes);
  }

 private:
  Pager& pager_;
  const Segment& segment_;
};

Expected<std::unique_ptr<Image>> Image::open(ImageFile file, const heap::Kinds& kinds,
                                             const Options& options) {
  std::unique_ptr<Image> image(new Image(std::move(file), options));
  const Header& header = image->file_.header();
  if (SlotFormat{header.slot_mask, header.slot_shift} != options.format ||
      header.conservative_mask != options.conservative_mask)
    return refused(ErrorCode::invalid_argument, image->file_,
                   "its words are encoded otherwise than this heap's",
                   "Configure slot_mask, slot_shift and conservative_mask as they were");
  image->conversion_.format = options.format;
  if (auto done = image->match_kinds(kinds); !done) return Unexpected(done.error());
  if (auto done = image->place(); !done) return Unexpected(done.error());
  if (auto done = image->match_outside(); !done) return Unexpected(done.error());
  auto pager = Pager::create(image->file_, image->conversion_, options.at_once);
  if (!pager) return Unexpected(pager.error());
  image->pager_ = std::move(*pager);
  if (auto done = image->serve(); !done) return Unexpected(done.error());
  return image;
}

// Whoever waits for a page that is not there any more gets SIGSEGV, never zeros. A barrier on the
// same userfaultfd is detached last, since its end would fill all that is missing; any other first,
// since its end may make the memory accessible.
Image::~Image() {
  const bool is_first = options_.barrier != nullptr && options_.barrier->server() == nullptr;
  for (const auto& segment : segments_) {
    if (segment->is_watched && is_first) (void)options_.barrier->detach(segment->range);
    if (segment->is_served) {
      (void)os::set_access(segment->range, os::Access::none);
      (void)options_.server->release(segment->range, faults::FaultServer::Unfilled::abandon);
    }
    if (segment->is_watched && !is_first) (void)options_.barrier->detach(segment->range);
  }
}

Expected<> Image::match_kinds(const heap::Kinds& kinds) {
  for (const SavedKind& saved : file_.directory().kinds) {
    const heap::Kind* match = nullptr;
    for (std::size_t number = 1; number < kinds.count() && match == nullptr; ++number) {
      const heap::Kind& kind = kinds.by_number(static_cast<std::uint8_t>(number));
      if (kind.name == saved.name) match = &kind;
    }
    if (match == nullptr)
      return refused(ErrorCode::invalid_argument, file_, "it needs a kind '" + saved.name + "'",
                     "Define its kinds before you open an image");
    if (match->tag.trace_class() != saved.trace || match->bitmap_words != saved.bitmap_words ||
        match->bitmap != saved.bitmap)
      return refused(ErrorCode::invalid_argument, file_,
                     "the kind '" + saved.name + "' was traced otherwise when it was saved");
    conversion_.kinds.kinds[saved.number] = {match->tag.number(), saved.trace};
  }
  return {};
}

// Named ranges first: they may lie in a module, and are found by name then.
Expected<> Image::match_outside() {
  for (const Outside& outside : file_.directory().outside) {
    if (outside.by != Outside::By::name) continue;
    const auto named = std::ranges::find(options_.names, outside.name, &NamedRange::name);
    if (named == options_.names.end() || named->range.size != outside.saved.size)
      return refused(
          ErrorCode::invalid_argument, file_,
          "it refers to '" + outside.name + "', which was not given, or has another size",
          "Give weir_image_open the names that the image was saved with");
    refer_to(outside, named->range.begin);
  }
  std::vector<Module> modules;
  for (const Outside& outside : file_.directory().outside) {
    if (outside.by != Outside::By::module) continue;
    if (modules.empty()) modules = loaded_modules();
    const auto module = std::ranges::find(modules, outside.build_id, &Module::build_id);
    if (module == modules.end() || module->range.size != outside.saved.size)
      return refused(ErrorCode::invalid_argument, file_,
                     "it refers to '" + outside.name + "', which is not loaded as it was built",
                     "Load the library first, or save the image anew");
    refer_to(outside, module->range.begin);
  }
  return {};
}

void Image::refer_to(const Outside& outside, Address here) {
  conversion_.translation.add(outside.saved, here);
  referred_.push_back({&outside, {here, outside.saved.size}});
}

Expected<> Image::reserve(bool at_saved_address) {
  segments_.clear();
  std::size_t first_cluster = 0;
  for (const image::Segment& saved : file_.directory().segments) {
    auto memory = at_saved_address ? os::Mapping::reserve_at(saved.saved)
                                   : os::Mapping::reserve(saved.saved.size, heap::kBlockBytes);
    if (!memory) return Unexpected(memory.error());
    auto table = os::OffHeapArray<std::uint8_t>::create(saved.saved.size / heap::kGranuleBytes);
    if (!table) return Unexpected(table.error());
    auto segment = std::make_unique<Segment>();
    segment->memory = std::move(*memory);
    segment->range = segment->memory.range();
    segment->saved = saved.saved;
    segment->identity = saved.identity;
    segment->cluster_size = file_.cluster_size();
    segment->first_cluster = first_cluster;
    segment->table = std::move(*table);
    segment->metadata = heap::Metadata(segment->range, segment->table.data());
    first_cluster += segment->clusters();
    segments_.push_back(std::move(segment));
  }
  return {};
}

Expected<> Image::place() {
  auto placed = reserve(true);
  if (!placed && placed.error().code == ErrorCode::out_of_memory) return placed;
  if (!placed) {
    if (file_.header().is_fixed)
      return refused(ErrorCode::busy, file_,
                     "it has conservative objects, so it opens at its own address only, and "
                     "something else is there",
                     "Open it earlier, before other memory is mapped");
    if (placed = reserve(false); !placed) return placed;
  }
  for (const auto& segment : segments_) {
    for (const Address end : {segment->range.begin, segment->range.end() - heap::kGranuleBytes})
      if (conversion_.format.decode(conversion_.format.encode(0, end)) != end)
        return refused(ErrorCode::busy, file_,
                       "its own address is taken, and the words of its slots can hold no other "
                       "that is free");
    conversion_.translation.add(segment->saved, segment->range.begin);
  }
  return {};
}

Expected<> Image::serve() {
  for (const auto& segment : segments_) {
    segment->source = std::make_unique<Source>(*pager_, *segment);
    // Clusters are filled by pages, and armed by pages: no huge ones.
    if (auto done = os::commit(segment->range, os::HugePages::never); !done) return done;
    if (options_.barrier != nullptr) {
      if (auto done = options_.barrier->attach(segment->range); !done) return done;
      segment->is_watched = true;
    }
    if (auto done = options_.server->serve_missing(segment->range, *segment->source); !done)
      return done;
    segment->is_served = true;
    if (options_.barrier != nullptr)
      if (auto done = options_.barrier->arm_arriving(segment->range); !done) return done;
  }
  return {};
}

// ---- Looking up ---------------------------------------------------------------------------------

const Image::Segment* Image::segment_of(Address address) const {
  for (const auto& segment : segments_)
    if (segment->range.contains(address)) return segment.get();
  return nullptr;
}

Range Image::range_of(std::size_t cluster) const {
  for (const auto& segment : segments_)
    if (cluster - segment->first_cluster < segment->clusters())
      return segment->cluster(cluster - segment->first_cluster);
  return {};
}

bool Image::is_at_saved_address() const {
  return std::ranges::all_of(segments_,
                             [](const auto& segment) { return segment->range == segment->saved; });
}

bool Image::has_root(std::string_view name) const {
  return std::ranges::any_of(file_.directory().roots,
                             [&](const SavedRoot& root) { return root.name == name; });
}

Address Image::root(std::string_view name) const {
  for (const SavedRoot& root : file_.directory().roots)
    if (root.name == name && root.saved != Address())
      return conversion_.translation(root.saved).value_or(Address());
  return {};
}

std::uint64_t Image::identity_of(Address address) const {
  const Segment& segment = *segment_of(address);
  return segment.identity + (address - segment.range.begin);
}

bool Image::is_filled(Address address) const {
  const Segment* segment = segment_of(address);
  return segment != nullptr &&
         pager_->settled_state(segment->cluster_of(address)) == ClusterState::filled;
}

bool Image::is_absent(Range part) const {
  const Segment& segment = *segment_of(part.begin);
  const std::size_t last = segment.cluster_of(part.end() - 1);
  for (std::size_t cluster = segment.cluster_of(part.begin); cluster <= last; ++cluster)
    if (!file_.entry(cluster).is_absent()) return false;
  return true;
}

Expected<> Image::bring_in(Range part) {
  const std::size_t size = file_.cluster_size().bytes();
  const Range pages = Range::between(part.begin.align_down(size), part.end().align_up(size));
  if (auto done = options_.server->bring_in(pages); !done) return done;
  for (Address at = pages.begin; at < pages.end(); at = at + size)
    if (!is_filled(at))
      return fail(ErrorCode::invalid_argument, "bringing in a damaged part of a heap image",
                  ErrorText(std::string_view(file_.path())), {at, size});
  return {};
}

// As far as it is known: clusters that are not filled do not say where it ends. `reached`: an
// address in it, in one that is filled.
Address Image::end_of_object(const Segment& segment, Address start, Address reached) const {
  const std::size_t size = segment.cluster_size.bytes();
  const Address first = start.align_down(size);
  const Address cluster = reached.align_down(size);
  Address end = segment.metadata.next_start(
      cluster == first ? start : cluster - heap::kGranuleBytes, cluster + size);
  for (std::size_t behind = (cluster - first) / size + 1;
       end < segment.range.end() && end.is_aligned(size); ++behind) {
    const std::size_t index = segment.cluster_of(end);
    if (file_.entry(index).continues != behind || pager_->state(index) != ClusterState::filled)
      break;
    end = segment.metadata.next_start(end - heap::kGranuleBytes, end + size);
  }
  return end;
}

heap::Found Image::describe(const Segment& segment, Address start, Address reached) const {
  const Address second = start + heap::kGranuleBytes;
  // What is in the next cluster came with this one, if there is anything.
  const bool has_behind = !second.is_aligned(segment.cluster_size.bytes()) ||
                          file_.entry(segment.cluster_of(start)).last_kind != 0;
  const heap::MetadataByte behind =
      has_behind ? segment.metadata.load(second) : heap::MetadataByte(0);
  return {Range::between(start, end_of_object(segment, start, reached)),
          heap::KindTag::of(segment.metadata.load(start).trace_class(),
                            behind.is_start() ? std::uint8_t{0} : behind.value())};
}

std::optional<heap::Found> Image::find(Address address) const {
  const Segment* segment = segment_of(address);
  if (segment == nullptr || !is_filled(address)) return std::nullopt;
  const std::size_t size = segment->cluster_size.bytes();
  Address cluster = address.align_down(size);
  Address start = segment->metadata.start_at_or_before(address, cluster);
  if (start == Address()) {  // an object from another cluster, which is filled then, too
    const std::uint32_t back = file_.entry(segment->cluster_of(address)).continues;
    cluster = cluster - back * size;
    start = segment->metadata.start_at_or_before(cluster + (size - heap::kGranuleBytes), cluster);
  }
  if (start == Address() || !segment->metadata.load(start).is_object()) return std::nullopt;
  return describe(*segment, start, address);
}

std::optional<heap::Found> Image::look_up(Address address) {
  const Segment* segment = segment_of(address);
  if (segment == nullptr || !bring_in({address, 1})) return std::nullopt;
  auto found = find(address);
  if (!found) return found;
  // Where it ends is known to the last cluster that it reaches into.
  const std::size_t size = segment->cluster_size.bytes();
  const Address begin = found->range.begin.align_down(size);
  Address last = begin;
  for (Address next = begin + size; next < segment->range.end(); next = next + size) {
    if (file_.entry(segment->cluster_of(next)).continues != (next - begin) / size) break;
    last = next;
  }
  if (last != begin && found->range.end() > begin + (size - 1)) {
    if (!bring_in({last, 1})) return std::nullopt;
    const Address end = segment->metadata.next_start(last - heap::kGranuleBytes, last + size);
    found->range = Range::between(found->range.begin, end);
  }
  return found;
}

void Image::for_each_object_on(Range part, Visit visit) const {
  const Segment& segment = *segment_of(part.begin);
  const heap::Metadata& metadata = segment.metadata;
  const std::size_t size = segment.cluster_size.bytes();
  for (Address at = part.begin; at < part.end();) {
    const Address end = std::min(at.align_down(size) + size, part.end());
    if (is_filled(at)) {
      const Range here = Range::between(at, end);
      if (const auto first = find(at); first && first->range.begin < at)
        visit(*first, first->range.intersection(here));
      for (Address start = metadata.next_start(at - heap::kGranuleBytes, end); start < end;
           start = metadata.next_start(start, end))
        if (metadata.load(start).is_object()) {
          const heap::Found object = describe(segment, start, start);
          visit(object, object.range.intersection(here));
        }
    }
    at = end;
  }
}

}  // namespace weir::image
