// What happened, in the order in which it is told: filled by the story, shown by the narrator while
// it goes, written as JSON at the end. The main thread's alone.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "gc_demo/cracauer/event_log.hpp"
#include "gc_demo/cracauer/options.hpp"

namespace weir::cracauer {

// Where a page's content is, and what a write to it means. As far as the program knows: in the
// async modes a page is armed until the dirty set is taken.
enum class Content { on_disk, in_memory };
enum class Writes { free, armed, dirty };
struct PageState {
  Content content = Content::on_disk;
  Writes writes = Writes::free;
  friend bool operator==(const PageState&, const PageState&) = default;
};

struct Event {
  std::string who;  // "main", "worker", "handler", "worker/SIGBUS", ...
  std::size_t page;
  LogEntry entry;
  double microseconds;  // since the touch began
};

// One access of a thread to a page, and all that it caused.
struct Touch {
  const char* who = "";
  std::size_t page = 0;
  bool write = false;
  bool noted_by_kernel = false;  // async: a first write to an armed page, which nobody is told of
  std::vector<Event> events;
  double microseconds() const { return events.empty() ? 0 : events.back().microseconds; }
};

struct Report {
  Options options;
  std::size_t page_size = 0;
  Range region;
  bool user_mode_only = false;  // the userfaultfd
  std::string folder;           // of the backing file
  std::size_t stored_bytes = 0;

  std::vector<PageState> pages;
  std::vector<Touch> touches;
  std::vector<std::size_t> dirty;  // pages, as taken
  std::size_t inflated_before_check = 0;
  std::vector<Word> first_words;         // of the pages that the story touched
  std::vector<std::string> differences;  // from what it should be; empty: all is well
};

}  // namespace weir::cracauer
