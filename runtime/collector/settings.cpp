#include "runtime/collector/settings.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <thread>

#include "runtime/heap/units.hpp"
#include "runtime/os/environment.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::collector {
namespace {

constexpr char kConfiguring[] = "configuring a heap";
constexpr std::size_t kSmallestMaximum = std::size_t{1} << 20;
constexpr unsigned kMostMarkers = 64;
constexpr std::uint64_t kLongestPause = 10'000'000'000;
constexpr std::size_t kSmallestNursery = heap::kBlockBytes;

std::size_t half_of_memory() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  if (pages <= 0) return std::size_t{1} << 30;
  return static_cast<std::size_t>(pages) / 2 * os::page_size();
}

Expected<std::optional<unsigned>> number(os::Variable variable) {
  const auto text = os::environment(variable);
  if (!text) return Unexpected(text.error());
  if (!*text) return std::nullopt;
  unsigned value = 0;
  const auto [end, error] =
      std::from_chars((*text)->data(), (*text)->data() + (*text)->size(), value);
  if (error != std::errc() || end != (*text)->data() + (*text)->size())
    return fail(ErrorCode::invalid_argument, "reading the environment",
                "a number in a WEIR_* variable is too large");
  return value;
}

}  // namespace

weir_config default_config() {
  weir_config config{};
  config.minimum_bytes = std::size_t{24} << 20;
  config.maximum_bytes = half_of_memory();
  config.growth = 1.75;
  config.generations = true;
  config.pause_target_ns = 2'000'000;
  config.huge_pages = WEIR_HUGE_PAGES_PREFER;
  config.slot_mask = ~std::uintptr_t{0};
  config.conservative_mask = ~std::uintptr_t{0};
  return config;
}

weir_mutator_config default_mutator_config() {
  return {WEIR_STOP_POLL, true, nullptr};
}

Expected<> check_limits(std::size_t minimum_bytes, std::size_t maximum_bytes) {
  if (maximum_bytes < kSmallestMaximum || maximum_bytes > heap::kObjectMax)
    return fail(ErrorCode::invalid_argument, kConfiguring, "maximum_bytes is 1 MiB to 64 TiB");
  if (minimum_bytes > maximum_bytes)
    return fail(ErrorCode::invalid_argument, kConfiguring, "minimum_bytes is above maximum_bytes");
  return {};
}

Expected<weir_config> checked_config(const weir_config& given) {
  weir_config config = given;
  const auto verify = number(os::Variable::verify);
  if (!verify) return Unexpected(verify.error());
  if (*verify) config.verify = **verify != 0;
  const auto generations = number(os::Variable::generations);
  if (!generations) return Unexpected(generations.error());
  if (*generations) config.generations = **generations != 0;
  const auto arena = os::environment(os::Variable::arena);
  if (!arena) return Unexpected(arena.error());
  if (*arena) config.arena = **arena == "fresh" ? WEIR_ARENA_FRESH : WEIR_ARENA_MISSING_WP;
  const auto deterministic = number(os::Variable::deterministic);
  if (!deterministic) return Unexpected(deterministic.error());
  if (*deterministic) config.deterministic = **deterministic != 0;
  const auto stress = number(os::Variable::stress);
  if (!stress) return Unexpected(stress.error());
  if (*stress) config.stress = **stress;

  if (auto right = check_limits(config.minimum_bytes, config.maximum_bytes); !right)
    return Unexpected(right.error());
  if (!(config.growth > 1 && config.growth <= 100))
    return fail(ErrorCode::invalid_argument, kConfiguring, "growth is above 1 and at most 100");
  if (stored_value(config.barrier) > WEIR_BARRIER_ALWAYS_DIRTY)
    return fail(ErrorCode::invalid_argument, kConfiguring, "barrier is none of its values");
  if (stored_value(config.arena) > WEIR_ARENA_MISSING_WP)
    return fail(ErrorCode::invalid_argument, kConfiguring, "arena is none of its values");
  if (config.arena == WEIR_ARENA_MISSING_WP && !config.generations)
    return fail(ErrorCode::invalid_argument, kConfiguring,
                "arena missing-wp without generations, and so without a barrier on userfaultfd");
  if (config.pause_target_ns == 0 || config.pause_target_ns > kLongestPause)
    return fail(ErrorCode::invalid_argument, kConfiguring, "pause_target_ns is 1 to 10^10");
  if (config.nursery_bytes != 0 && config.nursery_bytes < kSmallestNursery)
    return fail(ErrorCode::invalid_argument, kConfiguring,
                "nursery_bytes is 0, or at least 64 KiB");
  if (config.markers > kMostMarkers)
    return fail(ErrorCode::invalid_argument, kConfiguring, "markers is at most 64");
  if (stored_value(config.huge_pages) > WEIR_HUGE_PAGES_NEVER)
    return fail(ErrorCode::invalid_argument, kConfiguring, "huge_pages is none of its values");
  if (config.slot_shift > 63 || config.slot_mask == 0 || config.conservative_mask == 0)
    return fail(ErrorCode::invalid_argument, kConfiguring,
                "slot_shift is at most 63, and a mask of 0 finds nothing");
  if (config.deterministic)
    config.markers = 1;
  else if (config.markers == 0)
    config.markers = std::clamp(std::thread::hardware_concurrency(), 1u, 16u);
  return config;
}

}  // namespace weir::collector
