#include "runtime/observe/published.hpp"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "tests/support/random.hpp"

using weir::observe::Published;

namespace {
using Value = std::array<std::uint64_t, 1024>;  // long enough to be overtaken while reading
}

TEST_CASE("what is read is what was published last") {
  Published<Value> published;
  CHECK(published.read() == Value{});
  for (std::uint64_t i = 1; i < 5; ++i) {
    Value value;
    value.fill(i);
    published.publish(value);
    CHECK(published.read() == value);
    CHECK(published.read() == value);
  }
}

TEST_CASE("readers see whole values, in the order of publication") {
  Published<Value> published;
  std::atomic<bool> done{false};
  std::atomic<int> reading{0};
  std::atomic<std::uint64_t> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      ++reading;
      while (!done) {
        const Value value = published.read();
        for (std::uint64_t word : value) wrong += word != value[0];
        wrong += value[0] < last;
        last = value[0];
      }
    });
  while (reading < 3) std::this_thread::yield();
  const std::uint64_t updates = weir::test::scaled(50'000);
  for (std::uint64_t i = 1; i <= updates; ++i) {
    Value value;
    value.fill(i);
    published.publish(value);
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  CHECK(wrong == 0);
  CHECK(published.read()[1023] == updates);
}
