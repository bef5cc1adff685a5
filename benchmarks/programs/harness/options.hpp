// What a program can be told on its command line: --name=value, each with its standard value. A
// name or a word that is not known ends the process with the list of those that are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::programs {

struct Option {
  std::string name;
  std::string value;  // at first the standard one
  std::string meaning;
  std::vector<std::string> words = {};  // the only values allowed; empty: a number
};

class Options {
 public:
  Options(std::string program, std::vector<Option> known, int argc, char** argv);

  const std::string& program() const { return program_; }
  const std::vector<Option>& all() const { return options_; }
  std::uint64_t whole(std::string_view name) const;
  double number(std::string_view name) const;
  const std::string& word(std::string_view name) const;

 private:
  [[noreturn]] void give_up(const std::string& why) const;
  void set(std::string_view argument);
  void print_help() const;
  std::size_t index_of(std::string_view name) const;

  std::string program_;
  std::vector<Option> options_;
};

}  // namespace weir::programs
