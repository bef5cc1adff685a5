#include "runtime/os/environment.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/setting.hpp"

using namespace weir;
using weir::os::ValueKind;
using weir::os::Variable;
using weir::os::VariableInfo;
using weir::test::Setting;

namespace {

// The README's table, as the code has it.
std::string markdown() {
  std::ostringstream out;
  out << "| variable | values | default | meaning |\n| --- | --- | --- | --- |\n";
  for (const VariableInfo& info : os::environment_variables()) {
    out << "| `" << info.name << "` | ";
    if (info.kind == ValueKind::number) out << "a number";
    if (info.kind == ValueKind::path) out << "a path";
    if (info.kind == ValueKind::list_of) out << "of these, separated by commas: ";
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

TEST_CASE("a list has one or more of the allowed names, and nothing else") {
  for (const char* list : {"gc", "gc,gc"}) {
    const Setting log("WEIR_LOG", list);
    CHECK(os::environment(Variable::log).value() == list);
  }
  for (const char* list : {",", "gc,", ",gc", "gc,,gc", "gc, gc", "GC", "gc,weather"}) {
    const Setting log("WEIR_LOG", list);
    const auto refused = os::environment(Variable::log);
    REQUIRE(!refused);
    CHECK(refused.error().message().find("WEIR_LOG=" + std::string(list)) != std::string::npos);
    CHECK(refused.error().message().find("it may be gc") != std::string::npos);
  }
  CHECK(os::list_has("a,bc,d", "bc"));
  CHECK(os::list_has("d", "d"));
  CHECK(!os::list_has("a,bc", "b"));
  CHECK(!os::list_has("", "a"));
}

TEST_CASE("a path may be anything") {
  const Setting trace("WEIR_TRACE", "/tmp/a b,c=%p");
  CHECK(os::environment(Variable::trace).value() == "/tmp/a b,c=%p");
}

TEST_CASE("the README has the same table") {
  std::ifstream file(WEIR_SOURCE_DIR "/README.md");
  std::stringstream readme;
  readme << file.rdbuf();
  const std::string table =
      between(readme.str(), "<!-- environment -->\n", "<!-- /environment -->");
  CHECK_MESSAGE(table == markdown(), "README.md should have this table:\n", markdown());
}
