// The story itself: pages on disk, first touches, write protection, writes, the dirty set. Each act
// is a function of its own, in the order in which run() calls them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gc_demo/cracauer/compressed_source.hpp"
#include "gc_demo/cracauer/report.hpp"
#include "runtime/barrier/barrier.hpp"
#include "runtime/faults/fault_server.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::cracauer {

// Who is told what happens, while it does.
class Audience {
 public:
  virtual ~Audience() = default;
  virtual void on_note(const std::string& /*note*/) {}
  virtual void on_setting(const Report& /*report*/) {}  // everything is set up
  virtual void on_act(const char* /*title*/) {}
  virtual void on_event(const Touch& /*touch*/, const Event& /*event*/, const Report& /*report*/) {}
  virtual void on_touch_end(const Touch& /*touch*/, const Report& /*report*/) {}
  virtual void on_armed(const Report& /*report*/) {}
  virtual void on_end(const Report& /*report*/) {}
};

class Story {
 public:
  Story(const Options& options, Audience& audience);
  ~Story();

  // An error means that this system does not let it happen; that something came out differently is
  // in the report.
  Expected<> run();
  const Report& report() const { return report_; }

 private:
  enum class Who { main, worker };
  enum class Access { read, write };

  Expected<> open_barrier();
  Expected<> save_pages();
  Expected<> register_region();
  Expected<> first_touches();
  Expected<> protect();
  Expected<> writes_to_armed_pages();
  Expected<> take_dirty_set();
  void check();
  void leave();

  void touch(Who who, Access access, std::size_t page);
  void tell(Touch& touch);
  void apply(const Event& event);
  void check_order(const Touch& touch);
  Expected<> check_page_tables();
  void check_page(std::size_t page);
  void differs(std::string what) { report_.differences.push_back(std::move(what)); }

  volatile Word* first_word(std::size_t page) const;
  std::size_t page_of(Address address) const;
  std::string name_of(const LogEntry& entry) const;

  Options options_;
  Audience& audience_;
  Report report_;
  std::vector<Word> expected_;  // what every page should hold now

  // The barrier and the server let go of the memory before it is unmapped, and the server is done
  // with the source before that goes: the order of these members is that of their lives.
  EventLog log_;
  std::optional<BackingFile> file_;
  os::Mapping memory_;
  std::unique_ptr<CompressedSource> source_;
  std::unique_ptr<faults::FaultServer> own_server_;  // where the barrier has none: mprotect
  std::unique_ptr<barrier::Barrier> barrier_;
  bool attached_ = false;
  pid_t main_thread_;
  pid_t worker_thread_ = 0;
};

}  // namespace weir::cracauer
