#include "gc_demo/manager/run.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>

#include "gc_demo/manager/client.hpp"
#include "runtime/os/fd_passing.hpp"

namespace weir::manager {
namespace {

constexpr int kLookMilliseconds = 20;

double cpu_milliseconds() {
  timespec used;
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) * 1e3 + static_cast<double>(used.tv_nsec) * 1e-6;
}

// How it ended.
int await_end(pid_t process) {
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

Run::Run(const Options& options, ImagePages* image, View& view)
    : options_(options), image_(image), view_(view) {
  report_.options = options;
}

Run::~Run() {
  for (const Client& client : clients_) {
    if (client.is_open) {
      ::kill(client.process, SIGKILL);
      await_end(client.process);
    }
    ::close(client.socket);
  }
}

Expected<> Run::run() {
  if (auto allowed = look_what_is_allowed(); !allowed) return allowed;
  if (auto started = start_clients(); !started) return started;
  if (auto started = start_server(); !started) return started;
  const auto began = std::chrono::steady_clock::now();
  send_everything();
  report_.seconds_to_all =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  have_everything_checked();
  watch_idleness();
  end();
  return {};
}

// On a descriptor of our own, so that one sentence says what is missing, and not each client.
Expected<> Run::look_what_is_allowed() {
  auto descriptor = Userfaultfd::Builder()
                        .require_features(kNeededFeatures)
                        .want_features(kWantedFeatures)
                        .create();
  if (!descriptor) return Unexpected(descriptor.error());
  report_.user_mode_only = !descriptor->is_full();
  report_.follows_forks = descriptor->features().has(UffdFeature::event_fork);
  view_.on_start(report_);
  return {};
}

// Before there are threads.
Expected<> Run::start_clients() {
  std::fflush(nullptr);
  const pid_t manager = ::getpid();
  for (std::size_t number = 0; number < options_.clients; ++number) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return system_error(errno, "making a socket for a client");
    const pid_t process = ::fork();
    if (process == 0) {
      end_with_parent(manager);
      for (const Client& other : clients_) ::close(other.socket);
      ::close(ends[0]);
      ::_exit(manager::Client(options_, image_, number, ends[1]).run());
    }
    ::close(ends[1]);
    if (process < 0) {
      ::close(ends[0]);
      return system_error(errno, "starting a client");
    }
    clients_.push_back({process, ends[0]});
  }
  return {};
}

Expected<> Run::start_server() {
  faults::FaultServer::Options wanted;
  wanted.delivery = Delivery::thread;
  wanted.push_per_second = options_.rate << 20;
  auto server = faults::FaultServer::start(wanted);
  if (!server) return Unexpected(server.error());
  server_ = std::move(*server);
  for (std::size_t number = 0; number < clients_.size(); ++number)
    if (auto adopted = adopt(clients_[number], number); !adopted) return adopted;
  return {};
}

Expected<> Run::adopt(Client& client, std::size_t number) {
  auto received = os::receive_descriptor(client.socket);
  if (!received) return Unexpected(received.error());
  const auto features = [&](const Hello& hello) { return UffdFeatures::from_bits(hello.features); };
  Hello hello{};
  if (received->payload.size() == sizeof hello)
    std::memcpy(&hello, received->payload.data(), sizeof hello);
  auto descriptor = Userfaultfd::from_raw_fd(received->fd, features(hello));
  if (hello.size != options_.bytes() || !features(hello).has_all(kNeededFeatures))
    return fail(ErrorCode::invalid_argument, "adopting a client",
                "it has other pages than it should, or its descriptor tells too little");

  auto served = Served::create(household_, {options_.seed, number, image_}, options_.pages());
  if (!served) return Unexpected(served.error());
  client.served = household_.add(std::move(*served));
  client.served->process = client.process;
  const faults::FaultServer::RemotePages pages[] = {
      {{Address(hello.begin), hello.size}, client.served}};
  if (auto adopted = server_->adopt(std::move(descriptor), pages); !adopted) return adopted;
  give_order(client, Order::start);
  return {};
}

void Run::send_everything() {
  bool all = false;
  while (!all) {
    listen(kLookMilliseconds);
    for (Client& client : clients_) {
      if (!client.is_open) continue;
      const Served::Tally tally = client.served->tally();
      if (role_of(client.served->client()) == Role::is_killed && tally.sent >= tally.to_come) {
        ::kill(client.process, SIGKILL);
        client.served->life = Life::killed;
        on_silence(client);
      } else if (client.wants_all && tally.to_come == 0) {
        client.wants_all = false;
        client.served->life = Life::running;
        give_order(client, Order::fork);
      }
    }
    view_.draw(household_.all());
    all = is_everything_sent();
  }
}

// Nobody needs another page, and those that touch are through with it.
bool Run::is_everything_sent() const {
  for (const Client& client : clients_)
    if (client.is_open && (!client.has_touched || client.served->tally().to_come != 0))
      return false;
  return true;
}

void Run::have_everything_checked() {
  for (Client& client : clients_)
    if (client.is_open) give_order(client, Order::check);
  while (!std::all_of(clients_.begin(), clients_.end(), [](const Client& client) {
    return !client.is_open || client.served->life == Life::done;
  }))
    listen(kLookMilliseconds);
  view_.draw(household_.all());
}

// Everything is there, and the clients wait for an order: a manager that works now, works for
// nothing.
void Run::watch_idleness() {
  if (options_.idle_seconds == 0) return;
  const faults::ServerCounters before = server_->counters();
  const double cpu_before = cpu_milliseconds();
  std::this_thread::sleep_for(std::chrono::seconds(options_.idle_seconds));
  report_.idle.cpu_milliseconds = cpu_milliseconds() - cpu_before;
  const faults::ServerCounters after = server_->counters();
  report_.idle.wakeups = after.wakeups - before.wakeups;
  report_.idle.rounds = after.rounds - before.rounds;
}

void Run::end() {
  for (Client& client : clients_) {
    if (!client.is_open) continue;
    give_order(client, Order::quit);
    on_silence(client);
  }
  // Soon after they are dropped, nothing is left of them.
  server_->drop_departed();
  constexpr int kPatience = 10'000;
  for (int i = 0; i < kPatience && server_->remote_spaces() != 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  report_.spaces_left = server_->remote_spaces();
  report_.server = server_->counters();
  for (const Served* process : household_.all()) verify(*process, report_, report_.differences);
  if (image_ != nullptr) report_.image = {image_->clusters(), image_->inflated()};
  verify(report_, report_.differences);
  view_.on_end(report_, household_.all());
}

void Run::listen(int milliseconds) {
  std::vector<pollfd> sockets;
  for (const Client& client : clients_)
    sockets.push_back({client.is_open ? client.socket : -1, POLLIN, 0});
  if (::poll(sockets.data(), sockets.size(), milliseconds) <= 0) return;
  for (std::size_t i = 0; i < sockets.size(); ++i) {
    if (sockets[i].revents == 0) continue;
    if (auto note = receive<Note>(clients_[i].socket))
      on_note(clients_[i], *note);
    else
      on_silence(clients_[i]);
  }
}

void Run::on_note(Client& client, const Note& note) {
  Served& served = *client.served;
  switch (note.kind) {
    case NoteKind::wants_all:
      client.wants_all = true;
      served.life = Life::waiting;
      view_.on_event(served, "wants to fork, and must have every page before");
      break;
    case NoteKind::forked:
      on_forked(client, note.process);
      break;
    case NoteKind::child_ended:
      on_child_ended(client, note);
      break;
    case NoteKind::gave_back:
      served.gave_back = note.pages;
      view_.on_event(served, fmt::format("gives {} pages back (MADV_DONTNEED)", note.pages));
      break;
    case NoteKind::unmapped:
      served.did_unmap = note.pages;
      view_.on_event(served, fmt::format("unmaps {} pages", note.pages));
      break;
    case NoteKind::touched:
      client.has_touched = true;
      served.wrong += note.wrong;
      view_.on_event(served, fmt::format("has touched {} pages at random", note.pages));
      break;
    case NoteKind::checked:
      served.checked = note.pages;
      served.wrong += note.wrong;
      served.life = Life::done;
      break;
  }
}

void Run::on_forked(const Client& client, pid_t process) {
  server_->settle();  // it forked when its event was read, and may be quicker than who read it
  Served* child = child_of(client, -1);
  if (child != nullptr) child->process = process;
  view_.on_event(*client.served,
                 child != nullptr
                     ? fmt::format("forks: its child {} has {} of {} pages, and is served too",
                                   process, child->inherited(), child->pages())
                     : fmt::format("forks: its child {} has every page", process));
}

// A child that is not served has nobody else to speak for it.
void Run::on_child_ended(const Client& client, const Note& note) {
  Served* child = child_of(client, note.process);
  if (child != nullptr) {
    child->checked = note.pages;
    child->life = Life::done;
  }
  (child != nullptr ? child : client.served)->wrong += note.wrong;
  view_.on_event(*client.served,
                 fmt::format("sees its child end, which compared {} pages", note.pages));
  server_->drop_departed();
}

// It was killed, has been told to go, or went by itself.
void Run::on_silence(Client& client) {
  client.is_open = false;
  const int status = await_end(client.process);
  Served& served = *client.served;
  const bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  const bool ended_well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  const bool is_expected =
      (served.life == Life::killed && was_killed) || (served.life == Life::done && ended_well);
  if (!is_expected) {
    served.life = Life::lost;
    report_.differences.push_back(
        WIFSIGNALED(status)
            ? fmt::format("{} was ended by signal {}", served.name(), WTERMSIG(status))
            : fmt::format("{} ended with exit status {}", served.name(), WEXITSTATUS(status)));
  }
  if (served.life != Life::done)
    view_.on_event(served, fmt::format("is {}, with {} of {} pages", name_of(served.life),
                                       served.tally().sent, served.pages()));
  server_->drop_departed();
}

// If it is gone, its silence is noticed.
void Run::give_order(Client& client, Order order) {
  (void)send(client.socket, order);
}

Served* Run::child_of(const Client& client, pid_t process) const {
  for (Served* candidate : household_.all())
    if (candidate->parent() == client.served && candidate->process == process) return candidate;
  return nullptr;
}

}  // namespace weir::manager
