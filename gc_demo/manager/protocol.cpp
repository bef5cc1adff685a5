#include "gc_demo/manager/protocol.hpp"

#include <sys/socket.h>

#include <cerrno>

namespace weir::manager {

const char* name_of(Role role) {
  switch (role) {
    case Role::plain:
      return "plain";
    case Role::forks:
      return "forks";
    case Role::gives_back:
      return "gives-back";
    case Role::unmaps:
      return "unmaps";
    case Role::is_killed:
      return "is-killed";
  }
  return "";
}

template <class Message>
Expected<> send(int socket, const Message& message) {
  if (::send(socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message) return {};
  return fail(ErrorCode::closed, "sending a message to another process");
}

template <class Message>
Expected<Message> receive(int socket) {
  Message message;
  ssize_t got;
  while ((got = ::recv(socket, &message, sizeof message, MSG_WAITALL)) < 0 && errno == EINTR) {
  }
  if (got == sizeof message) return message;
  return fail(ErrorCode::closed, "receiving a message of another process");
}

template Expected<> send(int, const Note&);
template Expected<> send(int, const Order&);
template Expected<Note> receive(int);
template Expected<Order> receive(int);

}  // namespace weir::manager
