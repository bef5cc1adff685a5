// What the progress bar leaves on a terminal: nothing, however it ends.
#include "tools/support/progress_bar.hpp"

#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>

#include "tests/support/setting.hpp"

using weir::support::ProgressBar;

namespace {

// A terminal in the place of standard error, for as long as it lives.
class Terminal {
 public:
  Terminal() : main_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)), before_(::dup(STDERR_FILENO)) {
    REQUIRE(main_ >= 0);
    REQUIRE(::grantpt(main_) == 0);
    REQUIRE(::unlockpt(main_) == 0);
    const int end = ::open(::ptsname(main_), O_RDWR | O_NOCTTY | O_CLOEXEC);
    REQUIRE(::dup2(end, STDERR_FILENO) == STDERR_FILENO);
    ::close(end);
  }
  ~Terminal() {
    ::dup2(before_, STDERR_FILENO);
    ::close(before_);
    ::close(main_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Up to what this says last.
  std::string shown() const {
    REQUIRE(::write(STDERR_FILENO, "!", 1) == 1);
    std::string text;
    for (char c = 0; ::read(main_, &c, 1) == 1 && c != '!';) text += c;
    return text;
  }

 private:
  int main_, before_;
};

constexpr char kCleared[] = "\r\x1b[K";

}  // namespace

TEST_CASE("the bar is gone from the line when it ends, before all is done, too") {
  const weir::test::Setting term("TERM", "xterm");
  const Terminal terminal;
  {
    ProgressBar bar;
    bar.show(1, 2);
    CHECK(terminal.shown().ends_with("] 50 %"));
  }
  CHECK(terminal.shown() == kCleared);
  {
    ProgressBar bar;
    bar.show(1, 2);
    bar.show(2, 2);
    CHECK(terminal.shown().ends_with(kCleared));
  }
  CHECK(terminal.shown().empty());
  { const ProgressBar bar; }
  CHECK(terminal.shown().empty());
}
