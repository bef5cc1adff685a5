#include "runtime/barrier/self_test.hpp"

#include <bitset>

#include "runtime/os/kernel_write.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/page_size.hpp"

namespace weir::barrier {
namespace {

constexpr std::size_t kPages = 8;
constexpr std::size_t kNotTouched = 3;
using Pages = std::bitset<kPages>;

class Trial {
 public:
  Trial(Barrier& barrier, Range range) : barrier_(barrier), range_(range) {}

  void write(std::size_t page) {
    volatile char* byte = at(page);
    *byte = static_cast<char>(*byte + 1);
    barrier_.record(Range::of(at(page), 1));
  }
  char read(std::size_t page) { return *static_cast<volatile char*>(at(page)); }
  // False where the kernel answers EFAULT.
  Expected<bool> write_by_system_call(std::size_t page) {
    auto written = os::kernel_write(at(page));
    barrier_.record(Range::of(at(page), 1));
    return written;
  }
  Expected<Pages> take(Then then = Then::rearm) {
    Pages pages;
    const auto sink = [&](Range run) {
      for (Address a = run.begin; a < run.end(); a = a + barrier_.traits().granularity)
        pages.set((a - range_.begin) / os::page_size());
    };
    auto taken = barrier_.take(range_, sink, then);
    if (!taken) return Unexpected(taken.error());
    return pages;
  }

 private:
  char* at(std::size_t page) { return (range_.begin + page * os::page_size() + page).as<char>(); }

  Barrier& barrier_;
  Range range_;
};

Unexpected failed(const char* step) {
  return fail(ErrorCode::self_test_failed, "proving a write barrier", step, {},
              "Another barrier has to be used in this process");
}

Expected<> run(Barrier& barrier, Range range) {
  Trial trial(barrier, range);
  for (std::size_t page = 0; page < kPages; ++page) trial.write(page);
  if (auto armed = barrier.arm(range); !armed) return armed;
  auto pages = trial.take();
  if (!pages) return Unexpected(pages.error());

  trial.write(1);
  trial.write(6);
  (void)trial.read(kNotTouched);
  pages = trial.take();
  if (!pages) return Unexpected(pages.error());
  if (!pages->test(1) || !pages->test(6)) return failed("a first write was not recorded");

  trial.write(6);
  pages = trial.take();
  if (!pages) return Unexpected(pages.error());
  if (!pages->test(6)) return failed("a write after re-arming was not recorded");
  if (pages->all() && barrier.kind() != BarrierKind::always_dirty)
    return failed("pages that nobody wrote to are reported as written");

  auto by_kernel = trial.write_by_system_call(4);
  if (!by_kernel) return Unexpected(by_kernel.error());
  pages = trial.take();
  if (!pages) return Unexpected(pages.error());
  if (*by_kernel && !pages->test(4) && !barrier.traits().needs_calls)
    return failed("a write by a system call was not recorded");
  barrier.set_sees_kernel_writes(*by_kernel && !barrier.traits().needs_calls);
  if (!barrier.notes().empty()) return Unexpected(barrier.notes().front().why);
  return {};
}

}  // namespace

Expected<> self_test(Barrier& barrier) {
  auto memory = os::Mapping::anonymous(kPages * os::page_size(), os::HugePages::never);
  if (!memory) return Unexpected(memory.error());
  const Range range = memory->range();
  if (auto attached = barrier.attach(range); !attached) return attached;
  auto result = run(barrier, range);
  if (auto detached = barrier.detach(range); !detached && result) return detached;
  return result;
}

}  // namespace weir::barrier
