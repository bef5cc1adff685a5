// The manager's side from the first fork to the last comparison: starts the clients, adopts their
// descriptors, listens to what they say, kills one, and sees to it that everything adds up.
#pragma once

#include <sys/types.h>

#include <memory>
#include <vector>

#include "gc_demo/manager/report.hpp"
#include "gc_demo/manager/view.hpp"
#include "runtime/faults/fault_server.hpp"

namespace weir::manager {

class Run {
 public:
  // `image`: what is served, and what the clients compare with; nullptr: made-up pages.
  Run(const Options& options, ImagePages* image, View& view);
  // Ends what is left of the clients.
  ~Run();
  // Errors: the system does not allow it. What differs is in the report.
  Expected<> run();

  const Report& report() const { return report_; }
  std::vector<Served*> processes() const { return household_.all(); }

 private:
  struct Client {
    pid_t process;
    int socket;
    bool is_open = true;  // it is there to be listened to
    bool wants_all = false;
    bool has_touched = false;
    Served* served = nullptr;
  };

  Expected<> look_what_is_allowed();
  Expected<> start_clients();
  Expected<> start_server();
  Expected<> adopt(Client& client, std::size_t number);
  void send_everything();
  void have_everything_checked();
  void watch_idleness();
  void end();

  void listen(int milliseconds);
  void on_note(Client& client, const Note& note);
  void on_forked(const Client& client, pid_t child);
  void on_child_ended(const Client& client, const Note& note);
  void on_silence(Client& client);
  void give_order(Client& client, Order order);
  bool is_everything_sent() const;
  Served* child_of(const Client& client, pid_t process) const;

  const Options& options_;
  ImagePages* const image_;
  View& view_;
  Report report_;
  Household household_;
  std::vector<Client> clients_;
  std::unique_ptr<faults::FaultServer> server_;  // goes before what it serves
};

}  // namespace weir::manager
