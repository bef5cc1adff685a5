#include "gc_demo/heap/worker.hpp"

#include <random>
#include <vector>

namespace weir::heap_demo {
namespace {

enum class Form { none, list, tree, array };

// What a shape was when it was built: outside the heap, so that a wrong heap is found out.
struct Built {
  Form form = Form::none;
  std::size_t size = 0;  // nodes, levels, words
};

class Worker {
 public:
  Worker(MutatorRef mutator, Work& work, std::uint64_t seed)
      : mutator_(mutator),
        work_(work),
        random_(seed),
        built_(work.shapes),
        table_(mutator, mutator.make_array(kBuiltIn<void*>, work.shapes)) {}

  bool is_ready() const { return table_.get() != nullptr; }

  void replace_one() {
    const std::size_t at = random_() % built_.size();
    work_.wrong += is_whole(at) ? 0 : 1;
    work_.checked += 1;
    table_.get()[at] = nullptr;
    built_[at] = draw();
    table_.get()[at] = build(built_[at]);
    if (table_.get()[at] != nullptr) return;
    built_[at] = {};
    work_.refused += 1;
  }

 private:
  Built draw() {
    switch (random_() % 32) {
      case 0:
        return {Form::array, 2048 + random_() % 62'000};  // 16 to 500 KiB
      default:
        return random_() % 2 == 0 ? Built{Form::list, 1 + random_() % 500}
                                  : Built{Form::tree, 1 + random_() % 9};
    }
  }

  void* build(const Built& wanted) {
    switch (wanted.form) {
      case Form::none:
        return nullptr;
      case Form::list:
        return list(wanted.size);
      case Form::tree:
        return tree(wanted.size);
      case Form::array:
        return array(wanted.size);
    }
    return nullptr;
  }

  Node* list(std::size_t length) {
    Local<Node> head(mutator_);
    for (std::size_t i = 0; i < length; ++i) {
      head = mutator_.make(work_.node, head.get(), nullptr, i);
      if (head == nullptr) break;
    }
    return head;
  }
  Node* tree(std::size_t levels) {
    if (levels == 0) return nullptr;
    Local<Node> top(mutator_, mutator_.make(work_.node, nullptr, nullptr, levels));
    if (top == nullptr || levels == 1) return top;
    top->left = tree(levels - 1);
    top->right = tree(levels - 1);
    return top->left != nullptr && top->right != nullptr ? top.get() : nullptr;
  }
  std::size_t* array(std::size_t words) {
    std::size_t* made = mutator_.make_array(kBuiltIn<std::size_t>, words);
    if (made != nullptr) made[0] = made[words - 1] = words;
    return made;
  }

  bool is_whole(std::size_t at) {
    const Built& was = built_[at];
    const void* shape = table_.get()[at];
    switch (was.form) {
      case Form::none:
        return shape == nullptr;
      case Form::list: {
        std::size_t left = was.size;
        for (auto* node = static_cast<const Node*>(shape); node != nullptr; node = node->left)
          if (left == 0 || node->value != --left) return false;
        return left == 0;
      }
      case Form::tree:
        return is_tree(static_cast<const Node*>(shape), was.size);
      case Form::array: {
        const auto* words = static_cast<const std::size_t*>(shape);
        return words[0] == was.size && words[was.size / 2] == 0 && words[was.size - 1] == was.size;
      }
    }
    return false;
  }
  static bool is_tree(const Node* node, std::size_t levels) {
    if (levels == 0) return node == nullptr;
    return node != nullptr && node->value == levels && is_tree(node->left, levels - 1) &&
           is_tree(node->right, levels - 1);
  }

  MutatorRef mutator_;
  Work& work_;
  std::mt19937_64 random_;
  std::vector<Built> built_;
  Local<void*> table_;
};

}  // namespace

Expected<> run_worker(Heap& heap, Work& work, std::uint64_t seed) {
  auto mutator = heap.attach({WEIR_STOP_POLL, false, nullptr});
  if (!mutator) return Unexpected(mutator.error());
  Worker worker(*mutator, work, seed);
  if (!worker.is_ready()) return fail(ErrorCode::out_of_memory, "making a table");
  while (!work.stop) {
    worker.replace_one();
    mutator->poll();
  }
  return {};
}

}  // namespace weir::heap_demo
