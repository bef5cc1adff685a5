#include "benchmarks/writing_phase.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <ctime>
#include <random>
#include <span>
#include <thread>

#include "runtime/os/page_size.hpp"

namespace weir::bench {
namespace {

double nanoseconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

PhaseCost costs_so_far() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return {nanoseconds_of(CLOCK_MONOTONIC), nanoseconds_of(CLOCK_PROCESS_CPUTIME_ID),
          static_cast<double>(usage.ru_minflt + usage.ru_majflt)};
}

void write_some(Address memory, std::span<const std::size_t> bytes, Marks marks) {
  for (const std::size_t offset : bytes) {
    *(memory + offset).as<volatile char>() = 1;
    if (marks.cards != nullptr)
      std::atomic_ref(marks.cards[offset >> marks.card_shift]).store(1, std::memory_order_release);
  }
}

}  // namespace

std::vector<std::size_t> bytes_to_write(std::size_t bytes, std::size_t one_in, Order order) {
  constexpr std::size_t kCacheLine = 64;
  const std::size_t page_size = os::page_size();
  const std::size_t pages = bytes / page_size;
  std::mt19937_64 random(one_in);  // NOLINT: the same in every run
  std::vector<std::size_t> chosen;
  for (std::size_t first = 0; first < pages; first += one_in) {
    const std::size_t page = first + random() % std::min(one_in, pages - first);
    chosen.push_back(page * page_size + page * kCacheLine % page_size);
  }
  if (order == Order::random) std::shuffle(chosen.begin(), chosen.end(), random);
  return chosen;
}

PhaseClock::PhaseClock() : start_(costs_so_far()) {}

PhaseCost PhaseClock::elapsed() const {
  const PhaseCost now = costs_so_far();
  return {now.wall_ns - start_.wall_ns, now.cpu_ns - start_.cpu_ns, now.faults - start_.faults};
}

PhaseCost write_all(Range memory, const std::vector<std::size_t>& bytes, std::size_t threads,
                    Marks marks) {
  if (threads == 1) {
    const PhaseClock clock;
    write_some(memory.begin, bytes, marks);
    return clock.elapsed();
  }
  std::barrier gate(static_cast<std::ptrdiff_t>(threads) + 1);
  std::vector<std::jthread> writers;
  for (std::size_t i = 0; i < threads; ++i) {
    const std::size_t first = bytes.size() * i / threads;
    const std::size_t past = bytes.size() * (i + 1) / threads;
    writers.emplace_back([&, share = std::span(bytes).subspan(first, past - first)] {
      gate.arrive_and_wait();
      write_some(memory.begin, share, marks);
      gate.arrive_and_wait();
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1));  // they wait at the gate by then
  const PhaseClock clock;
  gate.arrive_and_wait();
  gate.arrive_and_wait();
  return clock.elapsed();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace weir::bench
