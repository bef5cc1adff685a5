#include "tools/weir/doctor/first_write.hpp"

#include <chrono>

#include "benchmarks/writing_phase.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::doctor {
namespace {

constexpr std::size_t kPages = 8192;
constexpr std::size_t kOneIn = 16;
constexpr std::size_t kMinRounds = 3;
constexpr std::size_t kMaxRounds = 21;
constexpr std::chrono::milliseconds kBudget{500};

struct Rounds {
  std::vector<double> cpu_ns, wall_ns;  // per write
};

void warm_up(Range memory) {
  for (Address page = memory.begin; page < memory.end(); page = page + os::page_size())
    *page.as<volatile char>() = 1;
}

Expected<> run_attached(barrier::Barrier& barrier, Range memory,
                        const std::vector<std::size_t>& bytes, Rounds& rounds) {
  const auto marks = bench::marks_of(barrier, memory);
  if (!marks) return Unexpected(marks.error());
  if (auto armed = barrier.arm(memory); !armed) return armed;
  const bench::PhaseCost cost = bench::write_all(memory, bytes, 1, *marks);
  const auto taken = barrier.take(
      memory, [](Range) {}, barrier::Then::leave_unarmed);
  if (!taken) return Unexpected(taken.error());
  if (*taken < bytes.size() * barrier.traits().granularity)
    return fail(ErrorCode::self_test_failed, "measuring a first write",
                "fewer pages were recorded than were written");
  const auto writes = static_cast<double>(bytes.size());
  rounds.cpu_ns.push_back(cost.cpu_ns / writes);
  rounds.wall_ns.push_back(cost.wall_ns / writes);
  return {};
}

// Attached for one round only: no two can watch the same memory.
Expected<> run(barrier::Barrier& barrier, Range memory, const std::vector<std::size_t>& bytes,
               Rounds& rounds) {
  warm_up(memory);  // also of what another barrier may have left protected: soft-dirty protects all
  if (auto attached = barrier.attach(memory); !attached) return attached;
  auto done = run_attached(barrier, memory, bytes, rounds);
  if (auto detached = barrier.detach(memory); !detached && done) return detached;
  return done;
}

}  // namespace

std::vector<Expected<FirstWrite>> measure_first_writes(
    const std::vector<barrier::Barrier*>& barriers) {
  const std::size_t size = kPages * os::page_size();
  auto memory = os::Mapping::anonymous(size, os::HugePages::never);
  if (!memory) return {barriers.size(), Unexpected(memory.error())};
  const auto bytes = bench::bytes_to_write(size, kOneIn, bench::Order::random);

  std::vector<Expected<FirstWrite>> results(barriers.size());
  std::vector<Rounds> rounds(barriers.size());
  const auto end = std::chrono::steady_clock::now() + kBudget;
  for (std::size_t round = 0; round < kMaxRounds; ++round) {
    if (round >= kMinRounds && std::chrono::steady_clock::now() > end) break;
    for (std::size_t i = 0; i < barriers.size(); ++i) {
      if (!results[i]) continue;
      if (auto done = run(*barriers[i], memory->range(), bytes, rounds[i]); !done)
        results[i] = Unexpected(done.error());
    }
  }
  for (std::size_t i = 0; i < barriers.size(); ++i)
    if (results[i])
      results[i] = FirstWrite{bench::median(rounds[i].cpu_ns), bench::median(rounds[i].wall_ns)};
  return results;
}

}  // namespace weir::doctor
