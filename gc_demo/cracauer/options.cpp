#include "gc_demo/cracauer/options.hpp"

#include <fmt/format.h>

#include <vector>

#include "gc_demo/shared/command_line.hpp"
#include "runtime/os/environment.hpp"

namespace weir::cracauer {
namespace {

constexpr std::size_t kMinPages = 4;  // the story touches four
constexpr std::size_t kMaxPages = 1 << 16;

struct Usage {
  std::string why;
};

// One thing that somebody asked for, and how: "--mode thread" says both a barrier and a delivery.
struct Wish {
  std::string said;
  std::optional<BarrierKind> barrier;
  std::optional<Delivery> delivery;
};

template <class Value>
Value or_usage(Expected<Value> value) {
  if (!value) throw Usage{value.error().message()};
  return *value;
}

Wish wish_for_mode(const std::string& name) {
  std::string known;
  for (const Mode& mode : kModes) {
    if (name == mode.name)
      return {fmt::format("--mode {} (barrier {}, delivery {})", name, name_of(mode.barrier),
                          name_of(mode.delivery)),
              mode.barrier, mode.delivery};
    known += known.empty() ? mode.name : fmt::format(", {}", mode.name);
  }
  throw Usage{fmt::format("--mode {} is unknown; known are {}", name, known)};
}

Wish wish_for_barrier(const std::string& said, std::string_view name) {
  const std::optional<BarrierKind> kind = or_usage(parse_barrier(name));  // nullopt: auto
  if (kind == BarrierKind::soft_dirty || kind == BarrierKind::cards ||
      kind == BarrierKind::always_dirty)
    throw Usage{
        fmt::format("{}: there is no fault to watch with this barrier; this program shows "
                    "async, uffd-thread, uffd-sigbus and mprotect",
                    said)};
  return {said, kind, {}};
}

Wish wish_for_delivery(const std::string& said, std::string_view name) {
  return {said, {}, or_usage(parse_delivery(name))};
}

std::vector<Wish> wishes_of(const std::string& mode, const std::string& barrier,
                            const std::string& delivery) {
  std::vector<Wish> wishes;
  if (!mode.empty()) wishes.push_back(wish_for_mode(mode));
  if (!barrier.empty()) wishes.push_back(wish_for_barrier("--barrier " + barrier, barrier));
  if (!delivery.empty()) wishes.push_back(wish_for_delivery("--delivery " + delivery, delivery));
  if (const auto value = or_usage(os::environment(os::Variable::barrier)))
    wishes.push_back(wish_for_barrier(fmt::format("WEIR_BARRIER={}", *value), *value));
  if (const auto value = or_usage(os::environment(os::Variable::delivery)))
    wishes.push_back(wish_for_delivery(fmt::format("WEIR_DELIVERY={}", *value), *value));
  return wishes;
}

// All wishes come true, or none.
void grant(const std::vector<Wish>& wishes, Options& options) {
  const Wish* barrier = nullptr;
  const Wish* delivery = nullptr;
  const auto contradiction = [](const Wish& a, const Wish& b) {
    return Usage{
        fmt::format("{} and {} contradict each other; leave one of them out", a.said, b.said)};
  };
  for (const Wish& wish : wishes) {
    if (wish.barrier) {
      if (barrier != nullptr && barrier->barrier != wish.barrier)
        throw contradiction(*barrier, wish);
      barrier = &wish;
    }
    if (wish.delivery) {
      if (delivery != nullptr && delivery->delivery != wish.delivery)
        throw contradiction(*delivery, wish);
      delivery = &wish;
    }
  }
  if (barrier != nullptr) options.barrier = *barrier->barrier;
  if (delivery != nullptr) options.delivery = *delivery->delivery;
  // What goes with the other, where only one was asked for. A pair that was asked for and cannot
  // exist is refused when the barrier is opened.
  if (barrier == nullptr && options.delivery == Delivery::sigbus)
    options.barrier = BarrierKind::uffd_sigbus;
  if (delivery == nullptr && options.barrier == BarrierKind::uffd_sigbus)
    options.delivery = Delivery::sigbus;
}

std::string modes_for_help() {
  std::string text = "Modes:\n";
  for (const Mode& mode : kModes) text += fmt::format("  {:<14}{}\n", mode.name, mode.summary);
  return text +
         "\nWEIR_BARRIER and WEIR_DELIVERY are obeyed like --barrier and --delivery.\n"
         "Exit: 0 all as it should be, 1 something differs, 2 usage, 3 not possible on this "
         "system.";
}

}  // namespace

std::string mode_name(const Options& options) {
  for (const Mode& mode : kModes)
    if (mode.barrier == options.barrier && mode.delivery == options.delivery) return mode.name;
  return fmt::format("barrier {}, delivery {}", name_of(options.barrier),
                     name_of(options.delivery));
}

std::variant<Options, ExitCode> parse_options(int argc, char** argv) {
  CLI::App app(
      "Pages that come from compressed backing when they are first touched, and a dirty set that "
      "the memory management unit keeps: the story of Martin Cracauer's userfaultfd example.");
  Options options;
  std::string mode, barrier, delivery, codec = "zlib";
  app.add_option("--mode", mode, "Who answers which fault, see below; default thread");
  app.add_option("--barrier", barrier,
                 "Instead of a mode: async, uffd-thread, uffd-sigbus, mprotect");
  app.add_option("--delivery", delivery, "Instead of a mode: who fills, thread or sigbus");
  app.add_option("--pages", options.pages, "How many pages")
      ->check(CLI::Range(kMinPages, kMaxPages))
      ->capture_default_str();
  app.add_option("--codec", codec, "How they are compressed: none, zlib or zstd")
      ->capture_default_str();
  app.add_flag("--json", options.json, "One JSON document instead of the narration");
  app.add_flag("--quiet", options.quiet, "Only the verdict, and only if something differs");
  app.footer(modes_for_help());
  if (const auto end = demo::read_command_line("cracauer", app, argc, argv)) return *end;
  try {
    options.codec = or_usage(image::parse_codec(codec));
    grant(wishes_of(mode, barrier, delivery), options);
  } catch (const Usage& usage) {
    fmt::print(stderr, "cracauer: {}\n", usage.why);
    return ExitCode::usage;
  }
  return options;
}

}  // namespace weir::cracauer
