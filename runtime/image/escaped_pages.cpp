#include "runtime/image/escaped_pages.hpp"

#include "runtime/os/last_words.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::image {

using barrier::UnitBits;
using barrier::UnitSpan;

Expected<std::unique_ptr<EscapedPages>> EscapedPages::create(const Image& image,
                                                             barrier::Barrier* barrier) {
  const std::size_t unit = barrier != nullptr ? barrier->traits().granularity : os::page_size();
  std::unique_ptr<EscapedPages> pages(new EscapedPages(image, barrier, unit));
  auto modified = UnitBits::create(image.file().clusters());
  if (!modified) return Unexpected(modified.error());
  pages->modified_ = std::move(*modified);
  for (const auto& segment : image.segments()) {
    auto bits = UnitBits::create(segment->range.size / unit);
    if (!bits) return Unexpected(bits.error());
    pages->escaped_.push_back(std::move(*bits));
  }
  return pages;
}

std::size_t EscapedPages::unit_of(std::size_t segment, Address address) const {
  return (address - image_.segments()[segment]->range.begin) / unit_bytes_;
}

// What was written of a segment since the last call, as far as it is there: a barrier that knows
// nothing better also reports what never came.
void EscapedPages::take(std::size_t index, os::FunctionRef<void(Range)> written) {
  const Image::Segment& segment = *image_.segments()[index];
  const std::size_t cluster = segment.cluster_size.bytes();
  const auto report = [&](Range run) {
    for (Address page = run.begin; page < run.end();) {
      if (!image_.is_filled(page)) {
        page = page.align_down(cluster) + cluster;
        continue;
      }
      written({page, unit_bytes_});
      page = page + unit_bytes_;
    }
  };
  if (barrier_ == nullptr)
    report(segment.range);
  else if (!barrier_->take(segment.range, report, barrier::Then::rearm))
    os::last_words("taking written memory of an image failed");
}

void EscapedPages::add(std::size_t index, Range page) {
  escaped_[index].set(unit_of(index, page.begin));
  modified_.set(image_.segments()[index]->cluster_of(page.begin));
}

void EscapedPages::judge(std::size_t segment, Range page, Scan scan) {
  if (!scan(page)) escaped_[segment].clear({unit_of(segment, page.begin), 1});
}

void EscapedPages::scan_written(Scan scan) {
  for (std::size_t i = 0; i < escaped_.size(); ++i)
    take(i, [&](Range page) {
      add(i, page);
      judge(i, page, scan);
    });
}

void EscapedPages::scan_all(Scan scan) {
  for (std::size_t i = 0; i < escaped_.size(); ++i) take(i, [&](Range page) { add(i, page); });
  for (std::size_t i = 0; i < escaped_.size(); ++i)
    for_each_of(i, [&](Range page) { judge(i, page, scan); });
}

void EscapedPages::for_each(os::FunctionRef<void(Range)> visit) const {
  for (std::size_t i = 0; i < escaped_.size(); ++i) for_each_of(i, visit);
}

// Runs are found word by word, so that bits may go meanwhile.
void EscapedPages::for_each_of(std::size_t segment, os::FunctionRef<void(Range)> visit) const {
  const Range range = image_.segments()[segment]->range;
  escaped_[segment].for_runs({0, range.size / unit_bytes_}, true, [&](UnitSpan run) {
    for (std::size_t unit = run.first; unit < run.end(); ++unit)
      visit({range.begin + unit * unit_bytes_, unit_bytes_});
  });
}

std::size_t EscapedPages::size() const {
  std::size_t size = 0;
  for (std::size_t i = 0; i < escaped_.size(); ++i)
    size += escaped_[i].count({0, image_.segments()[i]->range.size / unit_bytes_});
  return size;
}

}  // namespace weir::image
