// mruby with its own collector, as the package's mruby is, but with the names of its functions in
// it: for tools/compare mruby --instructions, which counts by them.
//
//     mruby-plain [-r LIBRARY]... PROGRAM [ARGUMENT]...
#include <mruby.h>
#include <mruby/array.h>
#include <mruby/compile.h>
#include <mruby/proc.h>
#include <mruby/string.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

void run(mrb_state* mrb, const char* path) {
  FILE* file = std::fopen(path, "rb");
  if (file == nullptr) {
    std::perror(path);
    std::exit(EXIT_FAILURE);
  }
  mrbc_context* context = mrbc_context_new(mrb);
  mrbc_filename(mrb, context, path);
  mrb_load_file_cxt(mrb, file, context);
  mrbc_context_free(mrb, context);
  std::fclose(file);
  if (mrb->exc != nullptr) {
    mrb_print_error(mrb);
    std::exit(EXIT_FAILURE);
  }
}

// What is local to a library is its own.
void leave(mrb_state* mrb) {
  REnv* locals = mrb_vm_ci_env(mrb->c->cibase);
  mrb_vm_ci_env_set(mrb->c->cibase, nullptr);
  if (locals != nullptr) mrb_env_unshare(mrb, locals);
}

}  // namespace

int main(int argc, char** argv) {
  mrb_state* mrb = mrb_open();
  if (mrb == nullptr) return EXIT_FAILURE;
  int next = 1;
  while (next + 1 < argc && std::string_view(argv[next]) == "-r") next += 2;
  const mrb_value arguments = mrb_ary_new(mrb);
  for (int i = next + 1; i < argc; ++i)
    mrb_ary_push(mrb, arguments, mrb_str_new_cstr(mrb, argv[i]));
  mrb_define_global_const(mrb, "ARGV", arguments);
  for (int i = 2; i < next; i += 2) {
    run(mrb, argv[i]);
    leave(mrb);
  }
  if (next < argc) run(mrb, argv[next]);
  mrb_close(mrb);
  return EXIT_SUCCESS;
}
