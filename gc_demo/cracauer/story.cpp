#include "gc_demo/cracauer/story.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "runtime/barrier/selection.hpp"
#include "runtime/os/page_size.hpp"
#include "runtime/os/pagemap.hpp"

namespace weir::cracauer {
namespace {

constexpr const char* kUserModeOnly =
    "This process may not open a full userfaultfd, so it uses one for user mode only. That is "
    "enough here, where the program's own code touches every page; a system call that runs into "
    "such a page would fail with EFAULT. For a full one run as root, or set "
    "vm.unprivileged_userfaultfd=1, or give this user the right to open /dev/userfaultfd.";

}  // namespace

Story::Story(const Options& options, Audience& audience)
    : options_(options), audience_(audience), main_thread_(::gettid()) {
  report_.options = options;
  report_.page_size = os::page_size();
}

Story::~Story() {
  leave();
}

Expected<> Story::run() {
  using Act = Expected<> (Story::*)();
  for (const Act act :
       {&Story::open_barrier, &Story::save_pages, &Story::register_region, &Story::first_touches,
        &Story::protect, &Story::writes_to_armed_pages, &Story::take_dirty_set})
    if (auto done = (this->*act)(); !done) return done;
  check();
  leave();
  audience_.on_end(report_);
  return {};
}

Expected<> Story::open_barrier() {
  auto opened = barrier::open_barrier(options_.barrier, options_.delivery);
  if (!opened && options_.barrier == BarrierKind::uffd_thread &&
      opened.error().code == ErrorCode::no_permission)
    opened = barrier::open_barrier(options_.barrier, options_.delivery, /*user_mode_only=*/true);
  if (!opened) return Unexpected(opened.error());
  barrier_ = std::move(*opened);

  if (barrier_->server() == nullptr) {
    faults::FaultServer::Options wanted;
    wanted.delivery = options_.delivery;
    auto server = faults::FaultServer::start(wanted);
    if (!server) return Unexpected(server.error());
    own_server_ = std::move(*server);
  }
  const faults::FaultServer& server = own_server_ ? *own_server_ : *barrier_->server();
  report_.user_mode_only = !server.is_full();
  if (report_.user_mode_only && options_.delivery == Delivery::thread)
    audience_.on_note(kUserModeOnly);
  return {};
}

Expected<> Story::save_pages() {
  expected_ = make_pages(options_.pages, report_.page_size);
  auto file =
      BackingFile::write(std::as_bytes(std::span(expected_)), report_.page_size, options_.codec);
  if (!file) return Unexpected(file.error());
  file_.emplace(std::move(*file));
  report_.folder = file_->folder();
  report_.stored_bytes = file_->size();
  return {};
}

// Nothing is behind the addresses yet. The barrier registers them for write protection, the server
// for missing pages: MISSING|WP together.
Expected<> Story::register_region() {
  auto memory = os::Mapping::anonymous(options_.pages * report_.page_size, os::HugePages::never);
  if (!memory) return Unexpected(memory.error());
  memory_ = std::move(*memory);
  report_.region = memory_.range();
  report_.pages.resize(options_.pages);

  auto source = CompressedSource::create(*file_, options_.codec, memory_.range(), log_);
  if (!source) return Unexpected(source.error());
  source_ = std::move(*source);

  if (auto attached = barrier_->attach(memory_.range()); !attached) return attached;
  attached_ = true;
  faults::FaultServer& server = own_server_ ? *own_server_ : *barrier_->server();
  if (auto served = server.serve_missing(memory_.range(), *source_); !served) return served;
  observe::observe_faults(&log_);
  audience_.on_setting(report_);
  return {};
}

Expected<> Story::first_touches() {
  audience_.on_act("First touches. Nothing is in memory, so each of them is a missing fault.");
  touch(Who::main, Access::read, 0);
  touch(Who::main, Access::read, 2);
  touch(Who::main, Access::write, 1);
  return {};
}

Expected<> Story::protect() {
  audience_.on_act(
      "Now the region is write-protected, with pages in it that were never filled. What was "
      "written before does not count.");
  if (auto armed = barrier_->arm(memory_.range()); !armed) return armed;
  for (PageState& page : report_.pages) page.writes = Writes::armed;
  audience_.on_armed(report_);
  return {};
}

Expected<> Story::writes_to_armed_pages() {
  audience_.on_act(
      "A worker thread writes: to page 0, twice, and to page 3, which is still on disk. "
      "It also reads page 2.");
  touch(Who::worker, Access::write, 0);
  touch(Who::worker, Access::write, 0);
  touch(Who::worker, Access::read, 2);
  touch(Who::worker, Access::write, 3);
  return check_page_tables();
}

Expected<> Story::take_dirty_set() {
  const auto add = [&](Range run) {
    for (Address page = run.begin; page < run.end(); page = page + report_.page_size) {
      report_.dirty.push_back(page_of(page));
      report_.pages[page_of(page)].writes = Writes::dirty;
    }
  };
  // A collector would re-arm the pages here, and scan those reported.
  auto taken = barrier_->take(memory_.range(), add, barrier::Then::leave_unarmed);
  if (!taken) return Unexpected(taken.error());
  return {};
}

// Touches a page from the right thread, waits for all that it causes, and tells it.
void Story::touch(Who who, Access access, std::size_t page) {
  const bool write = access == Access::write;
  volatile Word* const word = first_word(page);
  const Range pages{report_.region.begin + page * report_.page_size, report_.page_size};
  Word seen = 0;
  const auto access_it = [&] {
    log_.add({.step = Step::touch, .write = write, .pages = pages});
    if (write) *word = written_word(page);  // here the thread faults, if it does
    seen = *word;
    log_.add({.step = Step::went_on, .write = write, .pages = pages, .value = seen});
  };
  if (who == Who::main) {
    access_it();
  } else {
    std::thread worker([&] {
      worker_thread_ = ::gettid();
      access_it();
    });
    worker.join();
  }
  if (write) expected_[page * words_in(report_.page_size)] = written_word(page);

  Touch told;
  told.who = who == Who::main ? "main" : "worker";
  told.page = page;
  told.write = write;
  const bool first_write =
      write && std::none_of(report_.touches.begin(), report_.touches.end(),
                            [&](const Touch& t) { return t.noted_by_kernel && t.page == page; });
  told.noted_by_kernel = options_.barrier == BarrierKind::async && first_write &&
                         report_.pages[page].writes == Writes::armed;
  tell(told);
  check_order(told);
  const Word expected = expected_[page * words_in(report_.page_size)];
  if (seen != expected) differs(fmt::format("page {} held {:#x}, not {:#x}", page, seen, expected));
  report_.touches.push_back(std::move(told));
}

void Story::tell(Touch& touch) {
  const std::vector<LogEntry> entries = log_.drain();
  const std::uint64_t begin = entries.front().nanoseconds;
  for (const LogEntry& entry : entries) {
    touch.events.push_back({name_of(entry), page_of(entry.pages.begin), entry,
                            static_cast<double>(entry.nanoseconds - begin) / 1000});
    apply(touch.events.back());
    audience_.on_event(touch, touch.events.back(), report_);
  }
  audience_.on_touch_end(touch, report_);
}

void Story::apply(const Event& event) {
  PageState& page = report_.pages[event.page];
  switch (event.entry.step) {
    case Step::filled:
    case Step::filled_armed:
      page.content = Content::in_memory;
      break;
    case Step::recorded:
      page.writes = Writes::dirty;
      break;
    default:
      break;
  }
}

// The rule that makes a barrier sound: the page is in the dirty set before anyone may write to it,
// and nothing but that page is opened.
void Story::check_order(const Touch& touch) {
  bool recorded = false;
  for (const Event& event : touch.events) {
    recorded = recorded || event.entry.step == Step::recorded;
    if (event.entry.step == Step::unprotecting && !recorded)
      differs(fmt::format("page {} was unprotected before it was recorded", event.page));
    const bool opened = event.entry.step == Step::unprotecting || event.entry.step == Step::filled;
    if (opened && (event.page != touch.page || event.entry.pages.size != report_.page_size))
      differs(fmt::format("more than page {} was opened", touch.page));
  }
}

// "That page only", as the kernel sees it.
Expected<> Story::check_page_tables() {
  if (options_.barrier == BarrierKind::mprotect) return {};  // protects mappings, not page tables
  auto pagemap = os::Pagemap::open();
  if (!pagemap) return Unexpected(pagemap.error());
  std::vector<std::uint64_t> entries(options_.pages);
  if (auto read = pagemap->read_entries(report_.region.begin, entries); !read) return read;
  for (std::size_t page = 0; page < options_.pages; ++page) {
    const bool is_protected = (entries[page] & os::kEntryWriteProtected) != 0;
    const bool was_written = page == 0 || page == 3;
    if (is_protected == was_written)
      differs(fmt::format("page {} is {}protected in the page tables", page,
                          is_protected ? "" : "un-"));
  }
  return {};
}

// Reads every page at last, those that nobody had touched among them.
void Story::check() {
  report_.inflated_before_check = source_->inflated();
  const std::vector<std::size_t> should_be_dirty = {0, 3};
  if (report_.dirty != should_be_dirty)
    differs(fmt::format("the dirty set is {{{}}}, not {{{}}}", fmt::join(report_.dirty, ", "),
                        fmt::join(should_be_dirty, ", ")));
  if (report_.inflated_before_check != 4)
    differs(fmt::format("{} pages were inflated, not 4", report_.inflated_before_check));
  observe::observe_faults(nullptr);
  for (std::size_t page = 0; page < options_.pages; ++page) {
    check_page(page);
    (void)log_.drain();
  }
  if (log_.lost() != 0) differs("the event log overflowed");
  if (source_->inflated() != options_.pages)
    differs(fmt::format("{} pages were inflated in the end, not {}", source_->inflated(),
                        options_.pages));
  for (const BarrierRefusal& note : barrier_->notes()) differs(note.why.message());
}

void Story::check_page(std::size_t page) {
  const std::size_t words = words_in(report_.page_size);
  const volatile Word* const actual = first_word(page);
  if (page < 4) report_.first_words.push_back(Word{*actual});
  for (std::size_t i = 0; i < words; ++i) {
    if (actual[i] == expected_[page * words + i]) continue;
    differs(fmt::format("word {} of page {} is {:#x}, not {:#x}", i, page, actual[i],
                        expected_[page * words + i]));
    return;
  }
}

void Story::leave() {
  observe::observe_faults(nullptr);
  if (own_server_ && source_) (void)own_server_->release(memory_.range());
  if (attached_) (void)barrier_->detach(memory_.range());
  attached_ = false;
  own_server_.reset();
  barrier_.reset();
}

volatile Word* Story::first_word(std::size_t page) const {
  return (report_.region.begin + page * report_.page_size).as<volatile Word>();
}

std::size_t Story::page_of(Address address) const {
  return (address - report_.region.begin) / report_.page_size;
}

// Signal handlers run in the thread that faulted.
std::string Story::name_of(const LogEntry& entry) const {
  const bool in_handler = entry.step != Step::touch && entry.step != Step::went_on;
  if (entry.thread != main_thread_ && entry.thread != worker_thread_) return "handler";
  std::string thread = entry.thread == main_thread_ ? "main" : "worker";
  if (!in_handler) return thread;
  const bool write_fault = entry.step == Step::armed_write || entry.step == Step::recorded ||
                           entry.step == Step::unprotecting;
  const bool segv = write_fault && options_.barrier == BarrierKind::mprotect;
  return thread + (segv ? "/SIGSEGV" : "/SIGBUS");
}

}  // namespace weir::cracauer
