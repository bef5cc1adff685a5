#include "runtime/observe/trace_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "runtime/os/errno_name.hpp"
#include "runtime/os/last_words.hpp"

namespace weir::observe {
namespace {

constexpr std::string_view kClosing = "\n]\n";
constexpr std::size_t kLongestEvent = 2048;

std::string with_process_id(std::string_view path) {
  std::string result(path);
  const std::string id = std::to_string(::getpid());
  for (std::size_t at = 0; (at = result.find("%p", at)) != std::string::npos; at += id.size())
    result.replace(at, 2, id);
  return result;
}

Unexpected refusal(int sys_errno, const std::string& path) {
  Error error = system_error(sys_errno, "opening the trace file", {},
                             "name a file that can be written in WEIR_TRACE, or unset it")
                    .value();
  error.detail = ErrorText("WEIR_TRACE=" + path);
  return Unexpected(error);
}

// Offset 0 and nothing in it, whatever it is.
Expected<> prepare(int fd, const std::string& path) {
  if (::lseek(fd, 0, SEEK_SET) < 0) return refusal(errno, path);  // a pipe, a terminal
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return fail(ErrorCode::busy, "opening the trace file",
                ErrorText("WEIR_TRACE=" + path + " is being written by another process"), {},
                "put %p into its name, which stands for the process id");
  struct stat status {};
  if (::fstat(fd, &status) != 0) return refusal(errno, path);
  if (S_ISREG(status.st_mode) && ::ftruncate(fd, 0) != 0) return refusal(errno, path);
  return {};
}

// 0 or errno.
int write_all(int fd, std::string_view text, std::uint64_t offset) {
  while (!text.empty()) {
    const ssize_t n = ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return 0;
}

// Never closed: heaps may outlive static objects.
std::mutex files_lock;
TraceFile* files = nullptr;

}  // namespace

Expected<TraceFile*> TraceFile::open(std::string_view path) {
  std::string name = with_process_id(path);
  const std::lock_guard guard(files_lock);
  for (TraceFile* file = files; file != nullptr; file = file->next_)
    if (file->path_ == name && file->is_ours()) return file;
  auto file = create(std::move(name));
  if (!file) return file;
  (*file)->next_ = std::exchange(files, *file);
  return file;
}

void TraceFile::before_fork() {
  files_lock.lock();
}
void TraceFile::after_fork() {
  files_lock.unlock();
}

Expected<TraceFile*> TraceFile::create(std::string path) {
  // O_NONBLOCK: a pipe that nobody reads is an error, not a wait.
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
  if (fd < 0) return refusal(errno, path);
  if (auto prepared = prepare(fd, path); !prepared) {
    ::close(fd);
    return Unexpected(prepared.error());
  }
  auto* file = new TraceFile(std::move(path), fd);
  if (const int refused = file->write_text(); refused != 0) {
    Unexpected error = refusal(refused, file->path_);
    delete file;
    return error;
  }
  return file;
}

TraceFile::TraceFile(std::string path, int fd)
    : path_(std::move(path)),
      fd_(fd, ForkPolicy::keep),
      process_(::getpid()),
      origin_ns_(monotonic_ns()) {
  begin_event('M', "process_name");
  text_.add(R"(,"args":{"name":")");
  for (char c : std::string_view(program_invocation_short_name)) {
    const bool plain = c >= ' ' && c <= '~' && c != '"' && c != '\\';
    text_.add(plain ? c : '_');
  }
  text_.add(R"("})");
  end_event();
}

bool TraceFile::is_ours() const {
  return ::getpid() == process_;
}

void TraceFile::add(EventWriter& writer) {
  if (!is_ours()) return;
  const std::lock_guard guard(lock_);
  writer.thread_id_ = ++threads_;
  EventWriter** end = &writers_;  // the collector before its markers
  while (*end != nullptr) end = &(*end)->next_;
  *end = &writer;
}

void TraceFile::remove(EventWriter& writer) {
  if (!is_ours()) return;
  const std::lock_guard guard(lock_);
  drain(writer);
  flush();
  for (EventWriter** link = &writers_; *link != nullptr; link = &(*link)->next_) {
    if (*link != &writer) continue;
    *link = writer.next_;
    return;
  }
}

void TraceFile::add_cycle(const CycleSummary& cycle) {
  if (!is_ours()) return;
  const std::lock_guard guard(lock_);
  for (EventWriter* writer = writers_; writer != nullptr; writer = writer->next_) {
    if (writer->track().heap != cycle.heap) continue;
    // Before the phases in it, which begin at the same time as it does.
    if (writer->track().kind == TrackKind::collector) add_cycle_span(cycle, *writer);
    drain(*writer);
  }
  flush();
}

// A span comes into the ring when it ends, hence after those in it; readers want the outer one
// first where both begin at the same time.
void TraceFile::drain(EventWriter& writer) {
  const std::span<Event> events(drained_.data(), writer.ring_.drain(drained_));
  std::ranges::sort(events, [](const Event& a, const Event& b) {
    return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns : a.duration_ns > b.duration_ns;
  });
  for (const Event& event : events) add_event(event, writer);
  show_lost(writer);
}

void TraceFile::show_lost(EventWriter& writer) {
  const std::uint64_t lost = writer.lost() - writer.lost_shown_;
  if (lost == 0) return;
  writer.lost_shown_ += lost;
  writer.events_lost_.fetch_add(lost, std::memory_order_relaxed);
  begin_event('i', "events lost", writer);
  add_time("ts", monotonic_ns() - origin_ns_);
  text_.add(R"(,"s":"t","args":{"value":)").add_number(lost).add('}');
  end_event();
}

void TraceFile::begin_event(char type, std::string_view name) {
  if (text_.room() < kLongestEvent) flush();
  text_.add(end_ == 0 && text_.size() == 0 ? "[\n" : ",\n");
  text_.add(R"({"ph":")").add(type).add(R"(","name":")").add(name).add(R"(","pid":)");
  text_.add_number(static_cast<std::uint64_t>(process_));
}

void TraceFile::begin_event(char type, std::string_view name, EventWriter& writer) {
  if (!writer.named_) add_thread_name(writer);
  begin_event(type, name);
  text_.add(R"(,"tid":)").add_number(writer.thread_id_);
}

void TraceFile::end_event() {
  text_.add('}');
}

// The format has microseconds.
void TraceFile::add_time(std::string_view key, std::uint64_t ns) {
  text_.add(",\"").add(key).add("\":").add_fixed(ns, 3);
}

void TraceFile::add_thread_name(EventWriter& writer) {
  writer.named_ = true;
  begin_event('M', "thread_name", writer);
  text_.add(R"(,"args":{"name":"heap )").add_number(writer.track().heap).add(' ');
  text_.add(name_of(writer.track().kind));
  if (writer.track().number > 0) text_.add(' ').add_number(writer.track().number);
  text_.add("\"}");
  end_event();
}

void TraceFile::add_cycle_span(const CycleSummary& cycle, EventWriter& collector) {
  char memory[64];
  os::TextBuffer name(memory);
  name.add(name_of(cycle.kind)).add(" (").add(name_of(cycle.reason)).add(')');
  begin_event('X', name.view(), collector);
  add_time("ts", cycle.begin_ns - origin_ns_);
  add_time("dur", cycle.pause_ns);
  const CycleResult& result = cycle.result;
  text_.add(R"(,"cat":"cycle","args":{"number":)").add_number(cycle.number);
  text_.add(R"(,"heap_before_bytes":)").add_number(result.heap_before_bytes);
  text_.add(R"(,"heap_after_bytes":)").add_number(result.heap_after_bytes);
  text_.add(R"(,"live_bytes":)").add_number(result.live_bytes);
  text_.add(R"(,"freed_bytes":)").add_number(result.freed_bytes);
  text_.add(R"(,"promoted_bytes":)").add_number(result.promoted_bytes);
  text_.add(R"(,"markers":)").add_number(result.markers);
  text_.add(R"(,"marker_cpu_ns":)").add_number(result.marker_cpu_ns);
  text_.add(R"(,"young_blocks":)").add_number(result.young_blocks);
  text_.add(R"(,"pages_armed":)").add_number(result.pages_armed);
  text_.add(R"(,"pages_dirty":)").add_number(result.pages_dirty);
  text_.add(R"(,"pages_hot":)").add_number(result.pages_hot);
  text_.add(R"(,"traps":)").add_number(result.traps);
  text_.add(R"(,"scanned_bytes":)").add_number(result.scanned_bytes);
  text_.add(R"(,"went_hot":)").add_number(result.went_hot);
  text_.add(R"(,"rearmed":)").add_number(result.rearmed);
  text_.add(R"(,"nursery_bytes":)").add_number(result.nursery_bytes);
  text_.add(R"(,"next":")").add(name_of(result.next_kind)).add(" (");
  text_.add(name_of(result.next_reason)).add(R"lit()")lit");
  text_.add(R"(,"since_last_ns":)").add_number(cycle.since_last_ns).add('}');
  end_event();
}

void TraceFile::add_event(const Event& event, EventWriter& writer) {
  switch (event.kind) {
    case Event::Kind::phase:
    case Event::Kind::activity:
      begin_event('X', event.name(), writer);
      add_time("dur", event.duration_ns);
      break;
    case Event::Kind::instant:
      begin_event('i', event.name(), writer);
      text_.add(R"(,"s":"t")");  // an arrow on its own track
      break;
    case Event::Kind::counter: {
      char memory[64];  // the format has counters for processes, not for threads
      os::TextBuffer name(memory);
      name.add("heap ").add_number(writer.track().heap).add(' ').add(event.name());
      begin_event('C', name.view(), writer);
      break;
    }
  }
  add_time("ts", event.begin_ns - origin_ns_);
  if (event.kind != Event::Kind::phase)
    text_.add(R"(,"args":{"value":)").add_number(event.value).add('}');
  end_event();
}

// Leaves no text, written or not.
int TraceFile::write_text() {
  text_.add(kClosing);
  const int error = fd_.is_intact() ? write_all(fd_.get(), text_.view(), end_) : EBADF;
  if (error == 0) end_ += text_.size() - kClosing.size();
  text_.clear();
  return error;
}

void TraceFile::flush() {
  if (text_.size() == 0) return;
  if (!fd_.is_open()) return text_.clear();
  const int error = write_text();
  if (error == 0) return;
  // The file keeps what it had, closed as it was.
  const bool closed = !fd_.is_intact() || (::ftruncate(fd_.get(), static_cast<off_t>(end_)) == 0 &&
                                           write_all(fd_.get(), kClosing, end_) == 0);
  fd_ = MemoryFd();
  char memory[512];
  os::TextBuffer sentence(memory);
  sentence.add("the trace ends here, since writing it failed (").add(os::errno_name(error));
  sentence.add(": ").add(os::errno_text(error)).add(closed ? "): " : "), and is not closed: ");
  os::say(sentence.add(path_).view());
}

}  // namespace weir::observe
