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
constexpr std::string_view kArenas[] = {"fresh", "missing-wp"};
constexpr std::string_view kOffHeaps[] = {"mimalloc", "system"};
constexpr std::string_view kLogs[] = {"gc"};
constexpr std::string_view kOffOn[] = {"0", "1"};
constexpr std::string_view kTiers[] = {"smoke", "quick", "default", "nightly"};

constexpr std::array kVariables = {
    VariableInfo{Variable::barrier, "WEIR_BARRIER", ValueKind::one_of, kBarriers, "`auto`",
                 "the write barrier; `auto` takes the best that passes its self-test"},
    VariableInfo{Variable::delivery, "WEIR_DELIVERY", ValueKind::one_of, kDeliveries,
                 "`thread` where the kernel allows it",
                 "who answers page faults: a handler thread, or SIGBUS in the faulting thread"},
    VariableInfo{Variable::arena, "WEIR_ARENA", ValueKind::one_of, kArenas, "`fresh`",
                 "where a heap's pages come from: the kernel, or page faults that Weir answers"},
    VariableInfo{Variable::off_heap, "WEIR_OFFHEAP", ValueKind::one_of, kOffHeaps,
                 "`mimalloc` where it is linked in",
                 "where the runtime's own tables are allocated"},
    VariableInfo{Variable::stop_signal,
                 "WEIR_STOP_SIGNAL",
                 ValueKind::number,
                 {},
                 "SIGRTMIN + 5",
                 "the real-time signal that stops threads which do not poll"},
    VariableInfo{Variable::log, "WEIR_LOG", ValueKind::list_of, kLogs, "nothing",
                 "what to tell on standard error: `gc`, a line for each collection"},
    VariableInfo{Variable::trace,
                 "WEIR_TRACE",
                 ValueKind::path,
                 {},
                 "no trace",
                 "a file for a trace of all collections, to look at in Perfetto; `%p` in it stands "
                 "for the process id"},
    VariableInfo{Variable::verify, "WEIR_VERIFY", ValueKind::one_of, kOffOn, "`0`",
                 "after each collection a second, independent trace checks it"},
    VariableInfo{Variable::stress,
                 "WEIR_STRESS",
                 ValueKind::number,
                 {},
                 "`0`: off",
                 "collect at every n-th allocation"},
    VariableInfo{Variable::generations, "WEIR_GENERATIONS", ValueKind::one_of, kOffOn, "`1`",
                 "minor collections between the full ones"},
    VariableInfo{Variable::deterministic, "WEIR_DETERMINISTIC", ValueKind::one_of, kOffOn, "`0`",
                 "no clock in any decision, one marker: runs repeat"},
    VariableInfo{Variable::seed,
                 "WEIR_SEED",
                 ValueKind::number,
                 {},
                 "a fresh one, printed",
                 "tests: the seed of the randomised ones, to repeat a run"},
    VariableInfo{Variable::test_tier, "WEIR_TEST_TIER", ValueKind::one_of, kTiers, "`default`",
                 "tests: how much the randomised ones do"},
};

bool is_number(std::string_view text) {
  if (text.starts_with("0x") && text.size() > 2)
    return text.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string_view::npos;
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The list's first item, which is taken off it.
std::string_view next_item(std::string_view& list) {
  const std::size_t end = std::min(list.find(','), list.size());
  const std::string_view item = list.substr(0, end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return item;
}

bool is_among(std::span<const std::string_view> allowed, std::string_view value) {
  return std::ranges::find(allowed, value) != allowed.end();
}

bool is_allowed(const VariableInfo& info, std::string_view value) {
  switch (info.kind) {
    case ValueKind::one_of:
      return is_among(info.allowed, value);
    case ValueKind::list_of:
      if (value.ends_with(',')) return false;
      while (!value.empty())
        if (!is_among(info.allowed, next_item(value))) return false;
      return true;
    case ValueKind::number:
      return is_number(value);
    case ValueKind::path:
      return true;
  }
  return false;
}

std::string refusal(const VariableInfo& info, std::string_view value) {
  std::string sentence =
      std::string(info.name) + "=" + std::string(value.substr(0, 32)) + " is unknown; it may be ";
  if (info.kind == ValueKind::number) return sentence + "a number";
  for (std::string_view allowed : info.allowed) {
    if (allowed != info.allowed.front()) sentence += allowed == info.allowed.back() ? " or " : ", ";
    sentence += allowed;
  }
  if (info.kind == ValueKind::list_of && info.allowed.size() > 1)
    sentence += ", or several of these, separated by commas";
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

bool list_has(std::string_view list, std::string_view name) {
  while (!list.empty())
    if (next_item(list) == name) return true;
  return false;
}

}  // namespace weir::os
