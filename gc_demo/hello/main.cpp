// A collected heap in a page: a list that grows, forgets half of itself, and is collected.
#include <cstdio>
#include <weir/heap.hpp>

struct Node {
  Node* next;
  long value;
  static constexpr auto kSlots = weir::slots(&Node::next);  // what the collector follows
};

void farewell(weir::MutatorRef, Node* node) {
  std::printf("node %ld is gone\n", node->value);
}

weir::Expected<> run() {
  auto heap = weir::Heap::create();
  if (!heap) return weir::Unexpected(heap.error());
  auto node = heap->define<Node>("node");
  if (!node) return weir::Unexpected(node.error());
  // Its stack is not scanned: what lives is what Local keeps, and what that reaches.
  auto mutator = heap->attach({WEIR_STOP_POLL, false, nullptr});
  if (!mutator) return weir::Unexpected(mutator.error());

  weir::Local<Node> list(*mutator);
  for (long value = 0; value < 1'000'000; ++value) {
    list = mutator->make(*node, list.get(), value);
    if (list == nullptr) return weir::fail(weir::ErrorCode::out_of_memory, "growing the list");
  }
  auto half = weir::Weak<Node>::create(*mutator, list);
  if (!half) return weir::Unexpected(half.error());
  if (auto set = mutator->set_finalizer<farewell>(list.get()); !set) return set;

  while (list->value >= 500'000) list = list->next;  // plain loads and stores: no barrier
  if (auto done = mutator->collect(); !done) return done;
  mutator->run_finalizers();  // sees the old list whole, so it goes with the next collection
  if (auto done = mutator->collect(); !done) return done;

  const weir_statistics statistics = heap->statistics();
  std::printf("%llu collections, %llu MiB freed, %llu MiB live; the weak reference is %s\n",
              static_cast<unsigned long long>(statistics.collections),
              static_cast<unsigned long long>(statistics.freed_bytes >> 20),
              static_cast<unsigned long long>(statistics.live_bytes >> 20),
              half->get() == nullptr ? "cleared" : "not");
  return {};
}

int main() {
  const auto done = run();
  if (!done) std::puts(done.error().message().c_str());
  return done ? 0 : 1;
}
