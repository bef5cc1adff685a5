// What somebody else's program does with an installed Weir: opens a userfaultfd and says a
// sentence.
#include <cstdio>
#include <weir/error.hpp>
#include <weir/userfaultfd.hpp>

int main() {
  const auto features = weir::Userfaultfd::available_features();
  if (features)
    std::printf("userfaultfd features: %#llx\n", static_cast<unsigned long long>(features->bits()));
  else
    std::printf("no userfaultfd here: %s\n", features.error().message().c_str());
  return 0;
}
