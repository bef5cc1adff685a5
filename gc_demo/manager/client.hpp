// What runs in a client: maps memory, hands it to the manager, touches it at random, and does what
// its role is. Knows what each of its pages must hold, and compares.
#pragma once

#include <cstdint>
#include <random>
#include <vector>
#include <weir/userfaultfd.hpp>

#include "gc_demo/manager/content.hpp"
#include "gc_demo/manager/options.hpp"
#include "gc_demo/manager/protocol.hpp"
#include "runtime/os/mapping.hpp"

namespace weir::manager {

// What a client's userfaultfd must have: the manager has to hear of all that happens to the pages.
inline constexpr UffdFeatures kNeededFeatures = {
    UffdFeature::event_remap, UffdFeature::event_remove, UffdFeature::event_unmap};
// Wanted too, but only the privileged get it.
inline constexpr UffdFeatures kWantedFeatures = UffdFeature::event_fork;

class Client {
 public:
  // `image`: whose pages it has; nullptr: made-up ones.
  Client(const Options& options, ImagePages* image, std::size_t number, int socket);
  // To its end, in a process of its own. Returns what the process exits with.
  int run();

 private:
  enum class Holds : std::uint8_t { content, zeros };
  struct Page {
    Holds holds = Holds::content;
    bool marked = false;
  };

  Expected<> live();
  Expected<> hand_over();
  Expected<> map_memory();
  Expected<> await(Order order);
  Expected<> tell(const Note& note);
  Expected<> play_role();
  Expected<> fork_a_child();
  Expected<> await_child();
  Expected<> give_back();
  Expected<> unmap();
  std::vector<std::size_t> pages_at_random();
  void touch(std::size_t page);
  bool is_right(std::size_t page);
  void check_all();

  const Options& options_;
  const Content content_;
  const Role role_;
  const int socket_;
  std::mt19937_64 random_;
  os::Mapping memory_;
  Userfaultfd descriptor_;
  std::vector<Page> pages_;  // those that are mapped
  std::vector<std::byte> expected_;
  std::size_t checked_ = 0;
  std::size_t wrong_ = 0;
  pid_t child_ = -1;
};

// The calling process, a fork of `parent`, ends when that does.
void end_with_parent(pid_t parent);

}  // namespace weir::manager
