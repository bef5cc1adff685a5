#include "runtime/os/environment.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

using namespace weir;
using weir::os::Variable;
using weir::os::VariableInfo;

namespace {

// The README's table, as the code has it.
std::string markdown() {
  std::ostringstream out;
  out << "| variable | values | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const VariableInfo& info : os::environment_variables()) {
    out << "| `" << info.name << "` | ";
    if (info.allowed.empty()) out << "a number";
    for (std::string_view value : info.allowed)
      out << (value == info.allowed.front() ? "" : ", ") << '`' << value << '`';
    out << " | " << info.fallback << " | " << info.meaning << " |\n";
  }
  return out.str();
}

std::string between(const std::string& text, const std::string& first, const std::string& last) {
  const std::size_t begin = text.find(first);
  const std::size_t end = text.find(last);
  if (begin == std::string::npos || end == std::string::npos) return "";
  return text.substr(begin + first.size(), end - begin - first.size());
}

class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name) {
    const char* before = std::getenv(name);
    before_ = before != nullptr ? before : "";
    ::setenv(name, value, 1);
  }
  ~Setting() { ::setenv(name_, before_.c_str(), 1); }

 private:
  const char* name_;
  std::string before_;
};

}  // namespace

TEST_CASE("the table is in the enumeration's order") {
  std::size_t index = 0;
  for (const VariableInfo& info : os::environment_variables())
    CHECK(static_cast<std::size_t>(info.variable) == index++);
}

TEST_CASE("an unset or empty variable is no value") {
  const Setting empty("WEIR_BARRIER", "");
  CHECK(!os::environment(Variable::barrier).value().has_value());
  ::unsetenv("WEIR_BARRIER");
  CHECK(!os::environment(Variable::barrier).value().has_value());
}

TEST_CASE("every value of the table is allowed") {
  for (const VariableInfo& info : os::environment_variables())
    for (std::string_view value : info.allowed) {
      const Setting setting(info.name, std::string(value).c_str());
      CHECK(os::environment(info.variable).value() == value);
    }
}

TEST_CASE("an unknown value is refused with the allowed ones") {
  const Setting barrier("WEIR_BARRIER", "mprotct");
  const auto refused = os::environment(Variable::barrier);
  REQUIRE(!refused);
  CHECK(refused.error().code == ErrorCode::invalid_argument);
  const std::string message = refused.error().message();
  CHECK(message.find("WEIR_BARRIER=mprotct") != std::string::npos);
  CHECK(message.find("async, uffd-thread, uffd-sigbus") != std::string::npos);
  CHECK(message.find("or always-dirty") != std::string::npos);

  for (const char* number : {"12x", "0x", "-1", " 1"}) {
    const Setting seed("WEIR_SEED", number);
    CHECK(!os::environment(Variable::seed));
  }
  for (const char* number : {"0", "0xfF", "18446744073709551615"}) {
    const Setting seed("WEIR_SEED", number);
    CHECK(os::environment(Variable::seed).value() == number);
  }
}

TEST_CASE("the README has the same table") {
  std::ifstream file(WEIR_SOURCE_DIR "/README.md");
  std::stringstream readme;
  readme << file.rdbuf();
  const std::string table =
      between(readme.str(), "<!-- environment -->\n", "<!-- /environment -->");
  CHECK_MESSAGE(table == markdown(), "README.md should have this table:\n", markdown());
}
