#include "gc_demo/manager/view.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace weir::manager {
namespace {

using demo::Style;
using faults::PageState;

constexpr std::size_t kCells = 28;
constexpr std::chrono::milliseconds kFrame{100};

constexpr const char* kUserModeOnly =
    "Full userfaultfds are not to be had here (root, or vm.unprivileged_userfaultfd=1, or the "
    "right\n"
    "to open /dev/userfaultfd would do): the clients' are for user mode only. That is enough for\n"
    "what they do; a system call that runs into a missing page would fail with EFAULT.";
constexpr const char* kNoForkEvent =
    "Forks are not told of here (that takes CAP_SYS_PTRACE): the client that forks first waits "
    "until\n"
    "it has every page, since nobody would send them to its child.";

std::size_t faults_of(const Served& process) {
  const auto counters = process.counters();
  return counters.demanded + counters.zeros + counters.late;
}

// What some pages that lie together are, as one letter.
char cell_of(const Served& process, std::size_t first, std::size_t past) {
  std::size_t there = 0, given_back = 0, unmapped = 0;
  for (std::size_t page = first; page < past; ++page) {
    const PageState state = process.state(page);
    there += state == PageState::sent ? 1 : 0;
    given_back += state == PageState::given_back ? 1 : 0;
    unmapped += state == PageState::unmapped ? 1 : 0;
  }
  const std::size_t pages = past - first;
  if (2 * unmapped > pages) return 'x';
  if (2 * given_back > pages) return '0';
  if (there + given_back + unmapped == pages) return '#';
  return there == 0 ? '.' : 2 * there < pages ? ':' : '+';
}

Style style_of(Life life) {
  switch (life) {
    case Life::running:
      return Style::cyan;
    case Life::waiting:
      return Style::yellow;
    case Life::done:
      return Style::green;
    case Life::killed:
      return Style::faint;
    case Life::lost:
      return Style::red;
  }
  return Style::plain;
}

}  // namespace

void View::on_start(const Report& report) {
  if (silent_) return;
  const Options& options = report.options;
  terminal_.line(terminal_.styled(
      Style::bold, fmt::format("{} clients of {} MiB, one manager that sends them their pages{}.",
                               options.clients, options.bytes() >> 20,
                               options.image.empty() ? "" : ", those of one heap image")));
  terminal_.line(fmt::format(
      "What a client touches is sent at once, the rest {}. Seed {}.",
      options.rate == 0 ? "as fast as can be" : fmt::format("by {} MiB a second", options.rate),
      options.seed));
  if (report.user_mode_only) terminal_.line(terminal_.styled(Style::yellow, kUserModeOnly));
  if (!report.follows_forks) terminal_.line(terminal_.styled(Style::yellow, kNoForkEvent));
  terminal_.line("");
}

void View::on_event(const Served& process, const std::string& what) {
  if (silent_) return;
  const double seconds = std::chrono::duration<double>(Clock::now() - began_).count();
  terminal_.line(fmt::format("{:6.2f} s  {} {}", seconds, process.name(), what));
}

std::string View::bar_of(const Served& process) const {
  std::string bar;
  for (std::size_t cell = 0; cell < kCells; ++cell) {
    const std::size_t first = cell * process.pages() / kCells;
    bar += cell_of(process, first, std::max(first + 1, (cell + 1) * process.pages() / kCells));
  }
  return bar;
}

std::string View::line_for(const Served& process, double seconds) {
  const auto counters = process.counters();
  const Served::Tally tally = process.tally();
  Seen& seen = seen_[&process];
  const std::size_t faults = faults_of(process);
  if (seconds > 0) seen.per_second = static_cast<double>(faults - seen.faults) / seconds;
  seen.faults = faults;
  const std::size_t known = process.pages() - tally.to_come;
  return fmt::format("{:<12}[{}]{:>4}%{:>8}{:>8}{:>9.0f}  {}", process.name(), bar_of(process),
                     100 * known / process.pages(), counters.demanded, counters.pushed,
                     seen.per_second,
                     terminal_.styled(style_of(process.life), name_of(process.life)));
}

void View::draw(const std::vector<Served*>& processes) {
  if (silent_ || !terminal_.is_live()) return;
  const bool all_rest = std::none_of(processes.begin(), processes.end(), [](const Served* process) {
    return process->life == Life::running || process->life == Life::waiting;
  });
  const auto now = Clock::now();
  if (now - drawn_ < kFrame && !all_rest) return;
  const double seconds = seen_.empty() ? 0 : std::chrono::duration<double>(now - drawn_).count();
  drawn_ = now;
  std::vector<std::string> lines = {terminal_.styled(
      Style::faint, fmt::format("{:<12}{:<30}{:>5}{:>8}{:>8}{:>9}  state", "",
                                ". none : some + half # all", "", "demand", "push", "faults/s"))};
  for (const Served* process : processes) lines.push_back(line_for(*process, seconds));
  terminal_.set_picture(std::move(lines));
}

void View::table(const std::vector<Served*>& processes) {
  terminal_.line(terminal_.styled(
      Style::bold,
      fmt::format("{:<12}{:>8}{:>8}{:>8}{:>8}{:>7}{:>9}{:>6}{:>7}  state", "pages", "demand",
                  "push", "by fork", "to come", "zeros", "unmapped", "twice", "wrong")));
  for (const Served* process : processes) {
    const auto counters = process->counters();
    const Served::Tally tally = process->tally();
    terminal_.line(fmt::format("{:<12}{:>8}{:>8}{:>8}{:>8}{:>7}{:>9}{:>6}{:>7}  {}",
                               process->name(), counters.demanded, counters.pushed,
                               process->inherited(), tally.to_come, counters.zeros, tally.unmapped,
                               counters.repeated, process->wrong,
                               terminal_.styled(style_of(process->life), name_of(process->life))));
  }
}

void View::on_end(const Report& report, const std::vector<Served*>& processes) {
  if (silent_) return;
  draw(processes);
  terminal_.drop_picture();
  if (!terminal_.is_live()) terminal_.line("");
  table(processes);
  terminal_.line("");
  std::size_t sent = 0;
  for (const Served* process : processes)
    sent += process->counters().demanded + process->counters().pushed;
  terminal_.line(fmt::format(
      "{} pages in {:.2f} s, {} faults answered, {} of them put off while memory was changing.",
      sent, report.seconds_to_all, report.server.answered, report.server.deferred));
  if (!report.options.image.empty())
    terminal_.line(fmt::format("The image has {} clusters; {} were inflated, each once for all.",
                               report.image.clusters, report.image.inflated));
  if (report.options.idle_seconds != 0)
    terminal_.line(fmt::format("Idle for {} s: {:.2f} ms of CPU time, {} wakeups by messages.",
                               report.options.idle_seconds, report.idle.cpu_milliseconds,
                               report.idle.wakeups));
  if (report.differences.empty())
    terminal_.line(terminal_.styled(
        Style::green, "All as it should be: every page right, and none of them sent twice."));
  else
    terminal_.line(terminal_.styled(
        Style::red, fmt::format("Things that differ: {}", report.differences.size())));
}

}  // namespace weir::manager
