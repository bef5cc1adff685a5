// Lazy clusters under both deliveries: several threads at once, system calls, forks, and the end of
// a heap that somebody still reads.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csetjmp>
#include <thread>

#include "runtime/collector/images.hpp"
#include "runtime/os/mapping.hpp"
#include "runtime/os/pagemap.hpp"
#include "tests/faults/rig.hpp"
#include "tests/image/oracle.hpp"
#include "tests/os/child.hpp"
#include "tests/support/alarm_storm.hpp"
#include "tests/support/setting.hpp"

using namespace weir;
using namespace weir::test;

namespace {

struct Saved {
  explicit Saved(const char* name, std::size_t objects = 20'000,
                 std::size_t cluster_bytes = kAnyClusters)
      : graph({.objects = objects, .seed = seed_for(name)}), path("image") {
    save_graph(graph, path, cluster_bytes);
  }
  OracleGraph graph;
  TestPath path;
};

// Of every barrier whose faults are answered in a way of its own, with both deliveries.
template <class Body>
void for_each_way(Body body) {
  struct Way {
    weir_barrier barrier;
    const char* delivery;
  };
  for (const Way way :
       {Way{WEIR_BARRIER_ASYNC, "thread"}, Way{WEIR_BARRIER_ASYNC, "sigbus"},
        Way{WEIR_BARRIER_UFFD_THREAD, "thread"}, Way{WEIR_BARRIER_UFFD_SIGBUS, "sigbus"},
        Way{WEIR_BARRIER_MPROTECT, "thread"}, Way{WEIR_BARRIER_CARDS, "sigbus"}}) {
    CAPTURE(static_cast<int>(way.barrier));
    CAPTURE(std::string(way.delivery));
    const Setting delivery("WEIR_DELIVERY", way.delivery);
    weir_config config = small_heap();
    config.barrier = way.barrier;
    if (TestHeap::can_be_made(config)) body(config, std::string(way.delivery) == "thread");
  }
}

}  // namespace

TEST_CASE("38, 30: four threads touch everything at once, each cluster is filled once") {
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const Saved saved("four threads", 20'000, cluster_bytes);
    for_each_way([&](const weir_config& config, bool) {
      const TestHeap heap(config);
      const Kinds kinds(heap);
      weir_image* image = open_image(heap, saved.path);
      const void* table = root_of(image);
      std::vector<std::thread> threads;
      for (std::uint64_t thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] {
          Random random(thread);
          for (std::size_t i = 0; i < saved.graph.size(); ++i)
            saved.graph.check_object(table, random() % saved.graph.size());
        });
      for (std::thread& thread : threads) thread.join();
      saved.graph.check(table);
      const weir_image_statistics statistics = statistics_of(image);
      CHECK(statistics.filled_clusters <= statistics.clusters);
      CHECK(statistics.damaged_clusters == 0);
    });
  }
}

TEST_CASE("28, 29: lazy pages under signals, and while the world is stopped by signals") {
  const Saved saved("signals");
  for_each_way([&](const weir_config& config, bool) {
    const TestHeap heap(config);
    const Kinds kinds(heap);
    weir_image* image = open_image(heap, saved.path);
    const auto* const* table = static_cast<const void* const*>(root_of(image));
    const AlarmStorm storm;
    std::atomic<bool> is_done{false};
    std::thread reader([&] {
      const TestMutator mutator(heap, kBySignal);
      const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
      for (std::size_t i = 0; i < saved.graph.size(); ++i) {
        if (i % 50 == 0) (void)!::write(nowhere, table[i], 48);  // EFAULT where nobody fills for it
        saved.graph.check_object(table, i);
      }
      ::close(nowhere);
      is_done = true;
    });
    {
      const TestMutator mutator(heap, kPrecise);
      while (!is_done) {
        REQUIRE(weir_allocate(mutator, WEIR_KIND_SLOTS, 64) != nullptr);
        REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
        collect(mutator);
      }
    }
    reader.join();
  });
}

TEST_CASE("44: what is not touched is not filled; eager filling fills everything") {
  const Saved saved("sparse");
  for_each_way([&](const weir_config& config, bool) {
    const TestHeap heap(config);
    const Kinds kinds(heap);
    weir_image* image = open_image(heap, saved.path);
    CHECK(statistics_of(image).filled_clusters == 0);
    void* table = root_of(image);
    (void)*static_cast<void* volatile*>(table);
    CHECK(statistics_of(image).filled_clusters == 1);
    (void)*static_cast<void* volatile*>(table);
    CHECK(statistics_of(image).filled_clusters == 1);
    const TestHeap second(config);
    const Kinds second_kinds(second);
    weir_image* eager = open_image(second, saved.path, WEIR_IMAGE_EAGER_VERIFY);
    CHECK(statistics_of(eager).filled_clusters == statistics_of(eager).clusters);
    saved.graph.check(root_of(eager));
  });
}

TEST_CASE("41: pages that the program gives back are zeros, not what the image has") {
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const Saved saved("given back", 20'000, cluster_bytes);
    for_each_way([&](const weir_config& config, bool) {
      const TestPath resaved("resaved");
      std::size_t offset = 0;
      {
        const TestHeap heap(config);
        const Kinds kinds(heap);
        const TestMutator mutator(heap, kPrecise);
        weir_image* image = open_image(heap, saved.path);
        auto* const table = static_cast<char*>(root_of(image));
        const Address page = Address(table + 16384).align_up(os::page_size());
        offset = page - Address(table);
        auto* words = page.as<volatile std::uint64_t>();
        const std::size_t per_page = os::page_size() / 8;
        REQUIRE(words[0] != 0);
        REQUIRE(words[per_page] != 0);
        REQUIRE(os::give_back({page, 2 * os::page_size()}));
        for (std::size_t i = 0; i < per_page; ++i) REQUIRE(words[i] == 0);
        words[per_page + 1] = 0;  // the first touch is a write
        for (std::size_t i = per_page; i < 2 * per_page; ++i) REQUIRE(words[i] == 0);
        CHECK(words[2 * per_page] != 0);
        words[1] = 0;
        collect(mutator);
        REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
        CHECK(words[0] == 0);
        // Written, given back, and looked at by a collection before anybody else.
        words[1] = 1;
        words[per_page] = 1;
        REQUIRE(os::give_back({page, 2 * os::page_size()}));
        REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
        collect(mutator);
        for (std::size_t i = 0; i < 2 * per_page; ++i) REQUIRE(words[i] == 0);
        save(mutator, resaved, table);
      }
      const TestHeap heap(config);
      const Kinds kinds(heap);
      weir_image* image = open_image(heap, resaved);
      const Address page(static_cast<char*>(root_of(image)) + offset);
      for (std::size_t i = 0; i < 2 * os::page_size() / 8; ++i)
        REQUIRE(page.as<std::uint64_t>()[i] == 0);
      CHECK(page.as<std::uint64_t>()[2 * os::page_size() / 8] != 0);
    });
  }
}

TEST_CASE("45: system calls on lazy memory, with prefault and, where it works, without") {
  const Saved saved("system calls");
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  for_each_way([&](const weir_config& config, bool by_thread) {
    const TestHeap heap(config);
    const Kinds kinds(heap);
    weir_image* image = open_image(heap, saved.path);
    auto* const table = static_cast<char*>(root_of(image));
    char copy[256];
    // Root has a full userfaultfd here; with SIGBUS nobody fills a page for the kernel.
    const ssize_t written = ::write(ends[1], table, sizeof copy);
    if (by_thread && ::geteuid() == 0) CHECK(written == sizeof copy);
    if (!by_thread) CHECK(written == -1);
    if (written > 0) REQUIRE(::read(ends[0], copy, sizeof copy) == sizeof copy);
    char* const far = table + saved.graph.size() * sizeof(void*) - sizeof copy;
    REQUIRE(weir_prefault(heap, far, sizeof copy) == WEIR_OK);
    REQUIRE(::write(ends[1], far, sizeof copy) == sizeof copy);
    REQUIRE(::read(ends[0], copy, sizeof copy) == sizeof copy);
    CHECK(std::memcmp(copy, far, sizeof copy) == 0);
  });
  ::close(ends[0]);
  ::close(ends[1]);
}

namespace {

// Nobody has touched or armed what is not filled: there is no page table entry for it.
void check_lazy_pages(weir_image* image) {
  const auto pagemap = os::Pagemap::open();
  REQUIRE(pagemap);
  for (const auto& segment : image->image->segments())
    for (std::size_t i = 0; i < segment->clusters(); ++i) {
      if (image->image->pager().state(segment->first_cluster + i) != image::ClusterState::lazy)
        continue;
      std::vector<std::uint64_t> entries(segment->cluster_size.bytes() / os::page_size());
      REQUIRE(pagemap->read_entries(segment->cluster(i).begin, entries));
      for (const std::uint64_t entry : entries)
        REQUIRE((entry & (os::kEntryPresent | os::kEntrySwapped | os::kEntryWriteProtected)) == 0);
    }
}

}  // namespace

TEST_CASE("63, 72: fork with lazy pages: both processes go on, lazily") {
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const Saved saved("fork", 20'000, cluster_bytes);
    for_each_way([&](const weir_config& config, bool) {
      const TestHeap heap(config);
      const Kinds kinds(heap);
      const TestMutator mutator(heap, kPrecise);
      weir_image* image = open_image(heap, saved.path);
      auto** table = static_cast<void**>(root_of(image));
      saved.graph.check_object(table, 1);
      const auto go_on = [&] {
        const std::uint64_t filled = statistics_of(image).filled_clusters;
        collect(mutator);
        REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
        REQUIRE(statistics_of(image).filled_clusters == filled);
        check_lazy_pages(image);
        void* const before = table[5];
        void* young = weir_allocate(mutator, WEIR_KIND_LEAF, 64);
        std::memset(young, 7, 64);
        table[5] = young;
        weir_write_barrier(mutator, table, &table[5]);
        REQUIRE(weir_collect_minor(mutator) == WEIR_OK);
        collect(mutator);
        for (int i = 0; i < 64; ++i) REQUIRE(static_cast<char*>(table[5])[i] == 7);
        table[5] = before;
        weir_write_barrier(mutator, table, &table[5]);
        saved.graph.check(table);
      };
      const pid_t child = ::fork();  // not in_child(): SIGSEGV may be a barrier's
      REQUIRE(child >= 0);
      if (child == 0) {
        ::alarm(60);
        try {
          go_on();
        } catch (...) {
          ::_exit(1);
        }
        ::_exit(0);
      }
      go_on();
      int status = 0;
      REQUIRE(::waitpid(child, &status, 0) == child);
      CHECK(status == 0);
    });
  }
}

TEST_CASE("70: opened by many processes at once, while another one is put in its place") {
  const Saved saved("many processes", 3000);
  std::vector<pid_t> children;
  for (std::size_t i = 0; i < std::max<std::size_t>(scaled(100), 10); ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      const TestHeap heap(small_heap());
      const Kinds kinds(heap);
      weir_image* image = open_image(heap, saved.path);
      saved.graph.check(root_of(image));
      ::_exit(0);
    }
    children.push_back(child);
    if (i == 5) {  // the same graph, in a new file
      const TestHeap heap(small_heap());
      const Kinds kinds(heap);
      const TestMutator mutator(heap, kPrecise);
      TestFrame<1> frame(mutator);
      frame[0] = saved.graph.build(mutator, kinds);
      save(mutator, saved.path, frame[0]);
    }
  }
  for (const pid_t child : children) {
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
}

namespace {

thread_local sigjmp_buf back;
void leave(int) {
  ::siglongjmp(back, 1);
}

}  // namespace

TEST_CASE("34: the heap ends while others run into its pages: never zeros") {
  for (const std::size_t cluster_bytes : cluster_sizes()) {
    CAPTURE(cluster_bytes);
    const Saved saved("teardown", 20'000, cluster_bytes);
    for_each_way([&](const weir_config& config, bool) {
      const ChildResult child = in_child([&](auto&&) {
        // Before Weir's own handlers, which pass on to them: the memory is gone, or going.
        std::signal(SIGSEGV, leave);
        std::signal(SIGBUS, leave);
        weir_heap* heap = nullptr;
        REQUIRE(weir_heap_create(&config, &heap) == WEIR_OK);
        const Kinds kinds(heap);
        weir_image* image = open_image(heap, saved.path);
        const auto* table = static_cast<std::uint64_t* const*>(root_of(image));
        std::vector<const std::uint64_t*> objects(table, table + saved.graph.size());
        std::atomic<bool> saw_zero{false};
        std::vector<std::thread> readers;
        for (std::uint64_t seed = 0; seed < 3; ++seed)
          readers.emplace_back([&, seed] {
            Random random(seed);
            if (sigsetjmp(back, 1) != 0) return;
            for (;;)
              if (*static_cast<const volatile std::uint64_t*>(objects[random() % objects.size()]) ==
                  0)
                saw_zero = true;
          });
        ::usleep(2000);
        REQUIRE(weir_heap_destroy(heap, false) == WEIR_OK);
        for (std::thread& reader : readers) reader.join();
        return saw_zero ? 1 : 0;
      });
      CHECK_MESSAGE(child.exit_code == 0, child.text);
    });
  }
}
