#include "gc_demo/cracauer/picture.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace weir::cracauer {
namespace {

constexpr std::size_t kShown = 8;

Style style_of(Content content) {
  return content == Content::on_disk ? Style::faint : Style::green;
}

Style style_of(Writes writes) {
  switch (writes) {
    case Writes::free:
      return Style::faint;
    case Writes::armed:
      return Style::yellow;
    case Writes::dirty:
      return Style::red;
  }
  return Style::plain;
}

// Padded before it is coloured: escape sequences have no width.
std::string cell(Style style, const std::string& text, const Terminal& terminal) {
  return "  " + terminal.styled(style, fmt::format("{:>6}", text));
}

}  // namespace

const char* name_of(Content content) {
  return content == Content::on_disk ? "disk" : "memory";
}

const char* name_of(Writes writes) {
  switch (writes) {
    case Writes::free:
      return "free";
    case Writes::armed:
      return "armed";
    case Writes::dirty:
      return "DIRTY";
  }
  return "";
}

std::vector<std::string> picture_of(const std::vector<PageState>& pages, const Terminal& terminal) {
  std::vector<std::string> lines = {"  page    ", "  content ", "  writes  "};
  const std::size_t shown = std::min(pages.size(), kShown);
  for (std::size_t page = 0; page < shown; ++page) {
    const auto [content, writes] = pages[page];
    lines[0] += cell(Style::bold, fmt::to_string(page), terminal);
    lines[1] += cell(style_of(content), name_of(content), terminal);
    lines[2] += cell(style_of(writes), name_of(writes), terminal);
  }
  if (pages.size() > shown) lines[0] += "  ...";
  return lines;
}

}  // namespace weir::cracauer
