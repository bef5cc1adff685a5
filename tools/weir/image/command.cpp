#include "tools/weir/command.hpp"

#include <memory>

#include "tools/weir/image/commands.hpp"

namespace weir {

Command add_image(CLI::App& weir) {
  struct Given {
    std::string path, hot_list;
    bool json = false;
  };
  CLI::App* image =
      weir.add_subcommand("image", "What is in a heap image, and whether it is whole");
  image->require_subcommand(1);
  image->footer("Exit: 0 it is right, 1 it is damaged or no image, 2 usage.");
  auto given = std::make_shared<Given>();
  const auto add = [&](const char* name, const char* what) {
    CLI::App* command = image->add_subcommand(name, what);
    command->add_option("image", given->path, "The file")->required();
    command->add_flag("--json", given->json, "One JSON document");
    return command;
  };
  CLI::App* info = add("info", "Sizes, kinds, compression");
  CLI::App* verify = add("verify", "Decodes every cluster, and tells which are damaged");
  CLI::App* list = add("list", "Roots, segments, and what it needs outside of the heap");
  CLI::App* hot = add("hot", "What a hot list of it asks for");
  hot->add_option("list", given->hot_list, "A file that weir_image_hot_list wrote")->required();
  return {image, [=] {
            if (info->parsed()) return image_tool::info(given->path, given->json);
            if (verify->parsed()) return image_tool::verify(given->path, given->json);
            if (list->parsed()) return image_tool::list(given->path, given->json);
            return hot->parsed() ? image_tool::hot(given->path, given->hot_list, given->json)
                                 : kUsage;
          }};
}

}  // namespace weir
