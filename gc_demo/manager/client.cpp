#include "gc_demo/manager/client.hpp"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <numeric>

#include "runtime/os/fd_passing.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::manager {

void end_with_parent(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
}

Client::Client(const Options& options, ImagePages* image, std::size_t number, int socket)
    : options_(options),
      content_{options.seed, number, image},
      role_(role_of(number)),
      socket_(socket),
      random_(options.seed + number),
      pages_(options.pages()),
      expected_(os::page_size()) {}

int Client::run() {
  const Expected<> lived = live();
  if (!lived) {
    if (lived.error().code != ErrorCode::closed)  // else the manager has said why it went
      fmt::print(stderr, "manager: client {}: {}\n", content_.client, lived.error().message());
    return 1;
  }
  return 0;
}

Expected<> Client::live() {
  if (auto handed = hand_over(); !handed) return handed;
  if (auto started = await(Order::start); !started) return started;

  const std::vector<std::size_t> order = pages_at_random();
  const std::size_t touches =
      role_ == Role::is_killed ? order.size() : order.size() * options_.touch_percent / 100;
  for (std::size_t i = 0; i < touches / 4; ++i) touch(order[i]);
  if (auto played = play_role(); !played) return played;
  for (std::size_t i = touches / 4; i < touches; ++i) touch(order[i]);
  if (auto ended = await_child(); !ended) return ended;
  if (auto told = tell({NoteKind::touched, 0, checked_, wrong_}); !told) return told;

  if (auto asked = await(Order::check); !asked) return asked;
  check_all();
  if (auto told = tell({NoteKind::checked, 0, checked_, wrong_}); !told) return told;
  return await(Order::quit);
}

// Our own copy of the descriptor stays open: were the manager's the last one, its end would hand
// pages of zeros to whoever waits [fill-then-close]. So this process ends with the manager instead.
Expected<> Client::hand_over() {
  if (auto mapped = map_memory(); !mapped) return mapped;
  auto descriptor = Userfaultfd::Builder()
                        .require_features(kNeededFeatures)
                        .want_features(kWantedFeatures)
                        .create();
  if (!descriptor) return Unexpected(descriptor.error());
  descriptor_ = std::move(*descriptor);
  if (auto done = descriptor_.register_range(memory_.range()); !done)
    return Unexpected(done.error());
  const Hello hello{memory_.range().begin.value(), memory_.size(), descriptor_.features().bits()};
  return os::send_descriptor(socket_, descriptor_.fd(), std::as_bytes(std::span(&hello, 1)));
}

// That of an image at its own address, where its objects refer to one another.
Expected<> Client::map_memory() {
  auto memory = content_.image != nullptr ? os::Mapping::reserve_at(content_.image->range())
                                          : os::Mapping::reserve(options_.bytes(), os::page_size());
  if (!memory) return Unexpected(memory.error());
  memory_ = std::move(*memory);
  return os::commit(memory_.range(), os::HugePages::never);
}

Expected<> Client::await(Order order) {
  const auto received = receive<Order>(socket_);
  if (!received) return Unexpected(received.error());
  if (*received == order) return {};
  return fail(ErrorCode::system, "obeying the manager", "it sent an order out of turn");
}

Expected<> Client::tell(const Note& note) {
  return send(socket_, note);
}

Expected<> Client::play_role() {
  switch (role_) {
    case Role::forks:
      return fork_a_child();
    case Role::gives_back:
      return give_back();
    case Role::unmaps:
      return unmap();
    case Role::plain:
    case Role::is_killed:
      return {};
  }
  return {};
}

// With the fork event the child is served by the manager; without it, it must find everything
// there.
Expected<> Client::fork_a_child() {
  if (!descriptor_.features().has(UffdFeature::event_fork)) {
    if (auto told = tell({NoteKind::wants_all}); !told) return told;
    if (auto all = await(Order::fork); !all) return all;
  }
  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ < 0) return system_error(errno, "forking a client");
  if (child_ == 0) {
    end_with_parent(parent);
    ::close(socket_);
    wrong_ = 0;
    for (const std::size_t page : pages_at_random()) touch(page);
    check_all();
    ::_exit(wrong_ == 0 ? 0 : 1);
  }
  return tell({NoteKind::forked, child_});
}

Expected<> Client::await_child() {
  if (child_ < 0) return {};
  int status = 0;
  while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  const bool is_right = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return tell({NoteKind::child_ended, child_, is_right ? pages_.size() : 0, is_right ? 0u : 1u});
}

// An eighth from the middle: pages that were sent, and pages that were not.
Expected<> Client::give_back() {
  const std::size_t first = pages_.size() / 2;
  const std::size_t count = pages_.size() / 8;
  const Range range{memory_.range().begin + first * os::page_size(), count * os::page_size()};
  if (auto given = os::give_back(range); !given) return given;
  std::fill_n(pages_.begin() + static_cast<std::ptrdiff_t>(first), count,
              Page{Holds::zeros, false});
  return tell({NoteKind::gave_back, 0, count});
}

Expected<> Client::unmap() {
  const std::size_t count = pages_.size() / 8;
  pages_.resize(pages_.size() - count);
  memory_.shrink(pages_.size() * os::page_size());
  return tell({NoteKind::unmapped, 0, count});
}

std::vector<std::size_t> Client::pages_at_random() {
  std::vector<std::size_t> order(options_.pages());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), random_);
  return order;
}

// Every other touch begins with a write: what is written must outlive everything that comes later.
void Client::touch(std::size_t page) {
  if (page >= pages_.size()) return;
  if (random_() % 2 == 0) {
    *(memory_.range().begin + page * os::page_size()).as<volatile std::uint64_t>() =
        content_.mark(page);
    pages_[page].marked = true;
  }
  ++checked_;
  if (!is_right(page)) ++wrong_;
}

bool Client::is_right(std::size_t page) {
  if (pages_[page].holds == Holds::content)
    content_.make(page, expected_);
  else
    std::fill(expected_.begin(), expected_.end(), std::byte{0});
  if (pages_[page].marked) {
    const std::uint64_t mark = content_.mark(page);
    std::memcpy(expected_.data(), &mark, sizeof mark);
  }
  return std::memcmp(memory_.as<std::byte>() + page * os::page_size(), expected_.data(),
                     expected_.size()) == 0;
}

void Client::check_all() {
  checked_ = pages_.size();
  for (std::size_t page = 0; page < pages_.size(); ++page)
    if (!is_right(page)) ++wrong_;
}

}  // namespace weir::manager
