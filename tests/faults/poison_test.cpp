// A source that cannot fill: whoever touches the page gets SIGBUS, and never wrong bytes.
#include "tests/faults/rig.hpp"

namespace weir {
namespace {

using namespace test;
using faults::FaultServer;
using os::page_size;

bool is_poisoned(Address page) {
  return HostSigbus::is_raised_by_reading(page);
}

bool can_poison(const char* test) {
  auto features = Userfaultfd::available_features();
  if (features && features->has(UffdFeature::poison)) return true;
  print_skip(test, "this kernel cannot poison (Linux 6.6)");
  return false;
}

TEST_CASE("a failing source: its toucher gets SIGBUS, everybody else his page") {
  if (!can_poison("poison: a failing source")) return;
  const std::uint64_t seed = seed_for("poison: a failing source");
  FaultServer::Options options;
  options.required = UffdFeature::poison;
  for_each_delivery(
      "poison: a failing source",
      [&](FaultServer& server) {
        for (const bool itself : {false, true}) {
          CAPTURE(itself);
          auto memory = *os::Mapping::anonymous(64 * page_size(), os::HugePages::never);
          OracleSource source(seed, 64, itself ? 4 : 1);
          source.poisons_itself = itself;
          for (std::size_t i = 5; i < 64; i += 10) source.damage(i);
          REQUIRE(server.serve_missing(memory.range(), source));
          for (std::size_t i = 0; i < 64; ++i) {
            const Address page = page_of(memory.range(), i).begin;
            const bool damaged = i % 10 == 5;
            if (i % 3 == 0 && damaged) continue;  // met by release() first
            REQUIRE(is_poisoned(page) == damaged);
            REQUIRE(is_poisoned(page) == damaged);  // and stays so
            if (!damaged) REQUIRE(source.matches(page, i));
          }
          REQUIRE(server.release(memory.range()));
          for (std::size_t i = 5; i < 64; i += 10)  // never zeros instead of what is lost
            CHECK(is_poisoned(page_of(memory.range(), i).begin));
        }
      },
      options);
}

TEST_CASE("poison: an armed hole takes it, an armed page that is there keeps its record") {
  if (!can_poison("poison: a cluster")) return;
  // A source that poisons a whole cluster, of which one page is there.
  struct Poisoner final : faults::PageSource {
    UffdOutcome fill(std::size_t, faults::PageFiller& filler) noexcept override {
      return filler.poison(0, 4 * page_size());
    }
    bool is_filled(std::size_t offset) const noexcept override { return offset == page_size(); }
    void removed(std::size_t, std::size_t) noexcept override {}
  };
  FaultServer::Options options;
  options.required = {UffdFeature::poison, UffdFeature::pagefault_flag_wp,
                      UffdFeature::wp_unpopulated};
  for_each_delivery(
      "poison: a cluster",
      [&](FaultServer& server) {
        auto memory = *os::Mapping::anonymous(4 * page_size(), os::HugePages::never);
        poke(page_of(memory.range(), 1).begin, 'p');
        Poisoner source;
        Watcher watcher(memory.range());
        watcher.server = &server;
        REQUIRE(server.watch_writes(memory.range(), watcher));
        REQUIRE(server.serve_missing(memory.range(), source));
        watcher.arm(0, 4);
        for (const std::size_t i : {0, 2, 3}) CHECK(is_poisoned(page_of(memory.range(), i).begin));
        const Address there = page_of(memory.range(), 1).begin;
        CHECK(peek(there) == 'p');
        poke(there, 'q');  // armed still, or recorded already: never neither
        CHECK(watcher.is_dirty(1));
        CHECK(server.release(memory.range(), FaultServer::Unfilled::abandon));
      },
      options);
}

}  // namespace
}  // namespace weir
