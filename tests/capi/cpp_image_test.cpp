// Heap images through the C++ API.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <weir/image.hpp>

#include "tests/capi/cpp_rig.hpp"

using namespace weir;
using namespace weir::test;

TEST_CASE("an image is saved and opened in C++") {
  std::string folder = (std::filesystem::temp_directory_path() / "weir-cpp-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/image";
  const std::string note = "of the embedder";
  {
    CollectedHeap first;
    Local<Node> node(first.mutator, first.mutator.make(first.node));
    node->value = 42;
    node->next = node.get();
    must(ImageWriting()
             .root("node", node.get())
             .root("nobody", nullptr)
             .user_data(std::as_bytes(std::span(note)))
             .codec(WEIR_CODEC_ZSTD)
             .save(first.mutator, path));
    // Beside the one that was saved: at another address.
    CollectedHeap second;
    const Image image = must(Image::open(second.heap, path));
    CHECK(!image.statistics().at_saved_address);
    Node* copy = must(image.root<Node>("node"));
    CHECK(copy != node.get());
    CHECK(copy->value == 42);
    CHECK(copy->next == copy);
    CHECK(must(image.root("nobody")) == nullptr);
    CHECK(image.root("else").error().code == ErrorCode::not_registered);
    const auto data = image.user_data();
    CHECK(std::string(reinterpret_cast<const char*>(data.data()), data.size()) == note);
    must(image.write_hot_list(folder + "/hot"));
  }
  CollectedHeap third;
  CHECK(Image::open(third.heap, folder).error().code == ErrorCode::invalid_argument);
  std::filesystem::remove_all(folder);
}
