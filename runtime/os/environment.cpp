#include "runtime/os/environment.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace weir::os {
namespace {

constexpr std::string_view kBarriers[] = {"auto",     "async",      "uffd-thread", "uffd-sigbus",
                                          "mprotect", "soft-dirty", "cards",       "always-dirty"};
constexpr std::string_view kDeliveries[] = {"thread", "sigbus"};
constexpr std::string_view kOffHeaps[] = {"mimalloc", "system"};
constexpr std::string_view kTiers[] = {"smoke", "quick", "default", "nightly"};

constexpr std::array kVariables = {
    VariableInfo{Variable::barrier, "WEIR_BARRIER", kBarriers, "`auto`",
                 "the write barrier; `auto` takes the best that passes its self-test"},
    VariableInfo{Variable::delivery, "WEIR_DELIVERY", kDeliveries,
                 "`thread` where the kernel allows it",
                 "who answers page faults: a handler thread, or SIGBUS in the faulting thread"},
    VariableInfo{Variable::off_heap, "WEIR_OFFHEAP", kOffHeaps, "`mimalloc` where it is linked in",
                 "where the runtime's own tables are allocated"},
    VariableInfo{Variable::seed,
                 "WEIR_SEED",
                 {},
                 "a fresh one, printed",
                 "tests: the seed of the randomised ones, to repeat a run"},
    VariableInfo{Variable::test_tier, "WEIR_TEST_TIER", kTiers, "`default`",
                 "tests: how much the randomised ones do"},
};

bool is_number(std::string_view text) {
  if (text.starts_with("0x") && text.size() > 2)
    return text.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_allowed(const VariableInfo& info, std::string_view value) {
  if (info.allowed.empty()) return is_number(value);
  return std::ranges::find(info.allowed, value) != info.allowed.end();
}

std::string refusal(const VariableInfo& info, std::string_view value) {
  std::string sentence =
      std::string(info.name) + "=" + std::string(value.substr(0, 32)) + " is unknown; it may be ";
  if (info.allowed.empty()) return sentence + "a number";
  for (std::string_view allowed : info.allowed) {
    if (allowed != info.allowed.front()) sentence += allowed == info.allowed.back() ? " or " : ", ";
    sentence += allowed;
  }
  return sentence;
}

}  // namespace

std::span<const VariableInfo> environment_variables() {
  return kVariables;
}

Expected<std::optional<std::string_view>> environment(Variable variable) {
  const VariableInfo& info = kVariables[static_cast<std::size_t>(variable)];
  const char* value = std::getenv(info.name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  if (!is_allowed(info, value))
    return fail(ErrorCode::invalid_argument, "reading the environment",
                refusal(info, value).c_str());
  return value;
}

}  // namespace weir::os
