// What a client and the manager say to each other over their unix socket. Both are this program, on
// one machine, so structures travel as they are. docs/manager.md has the order of messages.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <weir/error.hpp>

namespace weir::manager {

// What a client does beside touching its pages.
enum class Role : std::uint8_t { plain, forks, gives_back, unmaps, is_killed };
const char* name_of(Role role);
inline constexpr Role role_of(std::size_t client) {
  constexpr Role kRoles[] = {Role::plain, Role::forks, Role::gives_back, Role::unmaps,
                             Role::is_killed};
  return client < sizeof kRoles ? kRoles[client] : Role::plain;
}

// Beside the userfaultfd: what it is registered for.
struct Hello {
  std::uintptr_t begin;
  std::size_t size;
  std::uint64_t features;  // of the descriptor
};

enum class NoteKind : std::uint8_t {
  wants_all,    // is about to fork, and has no fork event: send what is missing first
  forked,       // `process`
  child_ended,  // `process`, `wrong`
  gave_back,    // `pages`
  unmapped,     // `pages`
  touched,      // is through with touching: `pages` of them, `wrong`
  checked,      // has compared all its pages: `pages`, `wrong`
};
struct Note {
  NoteKind kind;
  pid_t process = 0;
  std::size_t pages = 0;
  std::size_t wrong = 0;
};

enum class Order : std::uint8_t {
  start,  // the descriptor is adopted
  fork,   // the answer to wants_all
  check,  // all is there
  quit,
};

// One structure; an error of code `closed` when the other end is gone.
template <class Message>
Expected<> send(int socket, const Message& message);
template <class Message>
Expected<Message> receive(int socket);

}  // namespace weir::manager
