// What a first touch leaves behind: the image's bytes and a clean page, or what was written and a
// page that counts as written; and all of it at random, for long.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "runtime/collector/images.hpp"
#include "tests/image/oracle.hpp"
#include "tests/support/alarm_storm.hpp"
#include "tests/support/setting.hpp"

using namespace weir::test;

namespace {

struct Way {
  weir_barrier barrier;
  const char* delivery;
};
// Those that tell exactly what was written.
constexpr Way kExactWays[] = {{WEIR_BARRIER_ASYNC, "thread"},
                              {WEIR_BARRIER_ASYNC, "sigbus"},
                              {WEIR_BARRIER_UFFD_THREAD, "thread"},
                              {WEIR_BARRIER_UFFD_SIGBUS, "sigbus"},
                              {WEIR_BARRIER_MPROTECT, "thread"}};

struct Opened {
  Opened(const weir_config& config, const TestPath& path)
      : heap(config), kinds(heap), mutator(heap, kPrecise), image(open_image(heap, path)) {}
  void** table() const { return static_cast<void**>(root_of(image)); }
  // Of the cluster that an object lies in.
  bool is_modified(const void* object) const {
    const auto& opened = *image->image;
    const auto* segment = opened.segment_of(weir::Address(object));
    return image->escaped->is_modified(segment->cluster_of(weir::Address(object)));
  }
  void store(void* object, std::size_t word, void* value) const {
    void** slot = static_cast<void**>(object) + word;
    *slot = value;
    weir_write_barrier(mutator, object, slot);
  }
  TestHeap heap;
  Kinds kinds;
  TestMutator mutator;
  weir_image* image;
};

template <class Body>
void for_each_exact_way(const TestPath& path, Body body) {
  for (const Way way : kExactWays) {
    CAPTURE(static_cast<int>(way.barrier));
    CAPTURE(std::string(way.delivery));
    const Setting delivery("WEIR_DELIVERY", way.delivery);
    weir_config config = small_heap();
    config.barrier = way.barrier;
    if (!TestHeap::can_be_made(config)) continue;
    const Opened opened(config, path);
    body(opened);
  }
}

}  // namespace

TEST_CASE("39: what is read or brought in ahead stays clean, what is written first is written") {
  const OracleGraph graph({.objects = 20'000, .seed = seed_for("clean and written")});
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const TestPath path("image");
    save_graph(graph, path, cluster_bytes);
    for_each_exact_way(path, [&](const Opened& opened) {
      void** const table = opened.table();  // 160 KiB of slots
      char* const begin = reinterpret_cast<char*>(table);
      char* const read = begin;
      char* const ahead = begin + cluster_bytes;
      void** const written = reinterpret_cast<void**>(begin + 2 * cluster_bytes);
      (void)*static_cast<volatile char*>(read);
      REQUIRE(weir_prefault(opened.heap, ahead, 1) == WEIR_OK);
      *written = nullptr;
      weir_write_barrier(opened.mutator, table, written);
      REQUIRE(weir_collect_minor(opened.mutator) == WEIR_OK);
      CHECK(!opened.is_modified(read));
      CHECK(!opened.is_modified(ahead));
      CHECK(opened.is_modified(written));
    });
  }
}

TEST_CASE("40: after a write to a lazy page, what lies beside comes from the image") {
  const OracleGraph graph({.objects = 5000, .seed = seed_for("neighbours")});
  const TestPath path("image");
  save_graph(graph, path);
  for_each_exact_way(path, [&](const Opened& opened) {
    void** const table = opened.table();
    opened.store(table, 9, nullptr);  // the first touch of all
    for (std::size_t i = 0; i < graph.size(); ++i)
      if (i != 9 && !graph.refers_to(i, 9)) graph.check_object(table, i);
    CHECK(table[9] == nullptr);
  });
}

TEST_CASE("50: for long, at random: reads, writes, collections, forks, saves, under signals") {
  const std::uint64_t seed = seed_for("soak");
  const OracleGraph graph({.objects = 4000, .seed = seed});
  Random random(seed);
  const TestPath path("image");
  save_graph(graph, path, cluster_sizes()[random() % 3]);
  for_each_exact_way(path, [&](const Opened& opened) {
    const AlarmStorm storm;
    void** const table = opened.table();
    for (std::size_t step = 0; step < scaled(400); ++step) {
      const std::size_t id = random() % graph.size();
      switch (random() % 16) {
        case 0:
          REQUIRE(weir_collect_minor(opened.mutator) == WEIR_OK);
          break;
        case 1:
          collect(opened.mutator);
          break;
        case 2: {
          if (random() % 4 != 0) break;
          const pid_t child = ::fork();
          REQUIRE(child >= 0);
          if (child == 0) {
            std::signal(SIGALRM, SIG_DFL);
            ::alarm(60);
            try {
              for (int i = 0; i < 50; ++i) graph.check_object(table, random() % graph.size());
              collect(opened.mutator);
            } catch (...) {
              ::_exit(1);
            }
            ::_exit(0);
          }
          int status = 0;
          while (::waitpid(child, &status, 0) != child) {
          }
          CHECK(status == 0);
          break;
        }
        case 3: {
          if (random() % 8 != 0) break;
          const TestPath again("again");
          save(opened.mutator, again, table);
          break;
        }
        case 4:
        case 5: {  // a young object for a while
          void* const before = table[id];
          auto* young =
              static_cast<std::uint64_t*>(weir_allocate(opened.mutator, WEIR_KIND_LEAF, 64));
          young[3] = id;
          opened.store(table, id, young);
          if (random() % 2 == 0)
            REQUIRE(weir_collect_minor(opened.mutator) == WEIR_OK);
          else
            collect(opened.mutator);
          REQUIRE(static_cast<std::uint64_t*>(table[id])[3] == id);
          opened.store(table, id, before);
          break;
        }
        default:
          graph.check_object(table, id);
      }
    }
    graph.check(table);
  });
}
