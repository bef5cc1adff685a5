#include "benchmarks/programs/harness/options.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace weir::programs {

Options::Options(std::string program, std::vector<Option> known, int argc, char** argv)
    : program_(std::move(program)), options_(std::move(known)) {
  options_.push_back({"seed", "1", "of all that is random"});
  options_.push_back({"repetitions", "1", "in this process, one after the other"});
  for (int i = 1; i < argc; ++i) set(argv[i]);
}

void Options::give_up(const std::string& why) const {
  std::fprintf(stderr, "%s: %s\n", program_.c_str(), why.c_str());
  std::exit(2);
}

void Options::print_help() const {
  std::printf("%s [--name=value ...]: one JSON record on stdout\n\n", program_.c_str());
  for (const Option& option : options_) {
    std::string allowed;
    for (const std::string& word : option.words) allowed += " " + word;
    std::printf("  --%-24s %s%s%s\n", (option.name + "=" + option.value).c_str(),
                option.meaning.c_str(), allowed.empty() ? "" : ":", allowed.c_str());
  }
}

void Options::set(std::string_view argument) {
  if (argument == "--help") {
    print_help();
    std::exit(0);
  }
  const std::size_t equals = argument.find('=');
  if (!argument.starts_with("--") || equals == std::string_view::npos)
    give_up("'" + std::string(argument) + "' is not --name=value; see --help");
  Option& option = options_[index_of(argument.substr(2, equals - 2))];
  option.value = argument.substr(equals + 1);
  if (!option.words.empty()) {
    if (std::ranges::find(option.words, option.value) == option.words.end())
      give_up("'" + std::string(argument) + "': no such word; see --help");
    return;
  }
  char* end = nullptr;
  const double value = std::strtod(option.value.c_str(), &end);
  if (option.value.empty() || *end != '\0' || !std::isfinite(value) || value < 0)
    give_up("'" + std::string(argument) + "': a number, 0 or more, is wanted");
}

std::size_t Options::index_of(std::string_view name) const {
  const auto found = std::ranges::find(options_, name, &Option::name);
  if (found == options_.end()) give_up("no option --" + std::string(name) + "; see --help");
  return static_cast<std::size_t>(found - options_.begin());
}

const std::string& Options::word(std::string_view name) const {
  return options_[index_of(name)].value;
}

std::uint64_t Options::whole(std::string_view name) const {
  return static_cast<std::uint64_t>(number(name));
}

double Options::number(std::string_view name) const {
  return std::strtod(word(name).c_str(), nullptr);
}

}  // namespace weir::programs
