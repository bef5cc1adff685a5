#include "runtime/collector/images.hpp"

#include <algorithm>
#include <thread>
#include <vector>

#include "runtime/collector/heap.hpp"
#include "runtime/collector/image_tracer.hpp"
#include "runtime/image/hot_list.hpp"
#include "runtime/os/environment.hpp"
#include "runtime/os/fault_gate.hpp"

namespace weir::collector {
namespace {

constexpr const char* kOpening = "opening a heap image";

unsigned cores() {
  return std::clamp(std::thread::hardware_concurrency(), 2u, 16u);
}

}  // namespace

Images::~Images() {
  for (auto& image : images_) image.reset();  // before their server
}

// A thread where system calls on lazy pages work then, else SIGBUS, which needs no right.
Expected<faults::FaultServer*> Images::server() {
  if (const auto& barrier = heap_.barrier_; barrier != nullptr && barrier->server() != nullptr)
    return barrier->server();
  if (own_server_ != nullptr) return own_server_.get();
  auto given = os::environment(os::Variable::delivery);
  if (!given) return Unexpected(given.error());
  Expected<Delivery> wanted = Delivery::thread;
  if (*given) wanted = parse_delivery(**given);
  if (!wanted) return Unexpected(wanted.error());
  faults::FaultServer::Options options;
  options.delivery = *wanted;
  options.require_full = *wanted == Delivery::thread && !*given;
  auto server = faults::FaultServer::start(options);
  if (!server && options.require_full) {
    options = {};
    options.delivery = Delivery::sigbus;
    server = faults::FaultServer::start(options);
  }
  if (!server) return Unexpected(server.error());
  own_server_ = std::move(*server);
  return own_server_.get();
}

Expected<weir_image*> Images::open(const std::string& path, const OpenOptions& wanted) {
  if (size() == kMost)
    return fail(ErrorCode::out_of_memory, kOpening, "a heap has at most 16 images");
  auto file = image::ImageFile::open(path);
  if (!file) return Unexpected(file.error());
  auto filled_by = server();
  if (!filled_by) return Unexpected(filled_by.error());
  image::Image::Options options;
  options.format = {heap_.format().slot_mask, heap_.format().slot_shift};
  options.conservative_mask = heap_.format().conservative_mask;
  options.names = wanted.names;
  options.at_once = cores();
  options.server = *filled_by;
  options.barrier = heap_.barrier_.get();
  auto opened = std::make_unique<weir_image>();
  auto image = image::Image::open(std::move(*file), heap_.space().kinds(), options);
  if (!image) return Unexpected(image.error());
  opened->image = std::move(*image);
  auto escaped = image::EscapedPages::create(*opened->image, options.barrier);
  if (!escaped) return Unexpected(escaped.error());
  opened->escaped = std::move(*escaped);
  if (heap_.cards() != nullptr)  // those who mark do not ask where
    for (const auto& segment : opened->image->segments())
      if (auto done = heap_.space().region().cards().commit(segment->range); !done)
        return Unexpected(done.error());
  if (auto done = fill(*opened, wanted); !done) return Unexpected(done.error());
  weir_image* const result = opened.get();
  images_[size()] = std::move(opened);
  count_.fetch_add(1, std::memory_order_release);
  return result;
}

Expected<> Images::fill(weir_image& opened, const OpenOptions& options) const {
  std::vector<std::uint32_t> hot;
  if (!options.hot_list.empty()) {
    auto listed = image::read_hot_list(options.hot_list, opened.image->file());
    if (!listed) return Unexpected(listed.error());
    hot = std::move(*listed);
  }
  if (options.filling == Filling::eager || options.filling == Filling::eager_verified)
    return fill_all(*opened.image, options.filling);
  if (hot.empty() && options.filling == Filling::lazy) return {};
  auto background = image::BackgroundFill::start(*opened.image, std::move(hot),
                                                 options.filling == Filling::background);
  if (!background) return Unexpected(background.error());
  opened.background = std::move(*background);
  return {};
}

void Images::after_fork_in_child() {
  for (std::size_t i = 0; i < size(); ++i)
    if (images_[i]->background != nullptr) images_[i]->background->after_fork_in_child();
}

Expected<> Images::fill_all(image::Image& image, Filling filling) const {
  for (const auto& segment : image.segments()) {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      const image::Pager::Ahead ahead;
      for (;;) {
        const std::size_t cluster = next.fetch_add(1);
        if (cluster >= segment->clusters()) return;
        (void)image.bring_in(segment->cluster(cluster));
      }
    };
    const os::BlockedSignals blocked;  // which the threads inherit
    std::vector<std::thread> others;
    for (unsigned i = 1; i < cores() && i < segment->clusters(); ++i) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
  }
  const std::size_t damaged = image.pager().counters().damaged;
  if (filling == Filling::eager_verified && damaged != 0)
    return fail(
        ErrorCode::invalid_argument, kOpening,
        ErrorText(image.file().path() + ": " + std::to_string(damaged) + " clusters are damaged"),
        {}, "`weir image verify` shows them");
  return {};
}

image::Image* Images::find(Address address) const {
  for (std::size_t i = 0; i < size(); ++i)
    if (images_[i]->image->contains(address)) return images_[i]->image.get();
  return nullptr;
}

Expected<> Images::prefault(Range range) const {
  for (std::size_t i = 0; i < size(); ++i)
    for (const auto& segment : images_[i]->image->segments()) {
      const Range part = segment->range.intersection(range);
      if (part.empty()) continue;
      if (auto done = images_[i]->image->bring_in(part); !done) return done;
    }
  return {};
}

std::size_t Images::scan(Marker& marker, Scope scope) {
  std::size_t bytes = 0;
  const auto mark = [&](Address, Address slot, Address target) { marker.edge(slot, target); };
  ImageTracer tracer(heap_.space(), heap_.format(), mark);
  for (std::size_t i = 0; i < size(); ++i) {
    const auto look = [&](Range page) {
      bytes += page.size;
      return tracer.trace(*images_[i]->image, page);
    };
    if (scope == Scope::young)
      images_[i]->escaped->scan_written(look);
    else
      images_[i]->escaped->scan_all(look);
  }
  return bytes;
}

void Images::for_each_edge(os::FunctionRef<void(Address, Address, Address)> edge) {
  ImageTracer tracer(heap_.space(), heap_.format(), edge);
  for (std::size_t i = 0; i < size(); ++i)
    for (const auto& segment : images_[i]->image->segments())
      (void)tracer.trace(*images_[i]->image, segment->range);
}

}  // namespace weir::collector
