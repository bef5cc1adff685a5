// mruby's program: runs Ruby from a file, from the command line, or on top of a saved state.
#include <mruby.h>
#include <mruby/array.h>
#include <mruby/compile.h>
#include <mruby/dump.h>
#include <mruby/proc.h>
#include <mruby/string.h>
#include <mruby/variable.h>

#include <cstdio>
#include <cstdlib>
#include <exception>

#include "gc_demo/mruby/image.hpp"
#include "gc_demo/mruby/options.hpp"
#include "gc_demo/mruby/port.hpp"

using namespace weir::mruby;

namespace {

constexpr char kName[] = "mruby-weir";

// False: it could not be opened, and that has been told.
bool run_file(mrb_state* mrb, mrbc_context* context, const std::string& path, bool is_compiled,
              const char* what) {
  const bool is_input = path == "-";
  FILE* file = is_input ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    std::fprintf(stderr, "%s: cannot open the %s %s\n", kName, what, path.c_str());
    return false;
  }
  mrbc_filename(mrb, context, path.c_str());
  if (is_compiled)
    mrb_load_irep_file_cxt(mrb, file, context);
  else
    mrb_load_detect_file_cxt(mrb, file, context);
  if (!is_input) std::fclose(file);
  return true;
}

bool run_library(mrb_state* mrb, mrbc_context* context, const std::string& path, bool is_compiled) {
  if (!run_file(mrb, context, path, is_compiled, "library")) return false;
  REnv* locals = mrb_vm_ci_env(mrb->c->cibase);  // they are the library's own
  mrb_vm_ci_env_set(mrb->c->cibase, nullptr);
  mrb_env_unshare(mrb, locals);
  mrbc_cleanup_local_variables(mrb, context);
  return true;
}

void set_globals(mrb_state* mrb, const Options& options, const std::string& program) {
  const mrb_value arguments = mrb_ary_new(mrb);
  for (const std::string& argument : options.arguments)
    mrb_ary_push(mrb, arguments, mrb_str_new_cstr(mrb, argument.c_str()));
  mrb_define_global_const(mrb, "ARGV", arguments);
  mrb_gv_set(mrb, mrb_intern_lit(mrb, "$DEBUG"), mrb_bool_value(options.debug));
  mrb_gv_set(mrb, mrb_intern_lit(mrb, "$0"), mrb_str_new_cstr(mrb, program.c_str()));
}

bool run_program(mrb_state* mrb, mrbc_context* context, const Options& options,
                 const std::string& program) {
  if (options.lines.empty()) return run_file(mrb, context, program, options.is_compiled, "program");
  std::string text;
  for (const std::string& line : options.lines) text += line + "\n";
  mrbc_filename(mrb, context, program.c_str());
  mrb_load_nstring_cxt(mrb, text.c_str(), text.size(), context);
  return true;
}

int run(mrb_state* mrb, const Options& options) {
  const int arena = mrb_gc_arena_save(mrb);
  const std::string program = !options.lines.empty()    ? "-e"
                              : options.program.empty() ? "-"
                                                        : options.program;
  set_globals(mrb, options, program);
  mrbc_context* context = mrbc_context_new(mrb);
  context->dump_result = options.verbose;
  context->no_exec = options.only_check;
  bool done = true;
  for (const std::string& library : options.libraries)
    done = done && run_library(mrb, context, library, options.is_compiled);
  done = done && run_program(mrb, context, options, program);
  mrbc_context_free(mrb, context);
  mrb_gc_arena_restore(mrb, arena);
  if (mrb->exc != nullptr) {
    mrb_print_error(mrb);
    return EXIT_FAILURE;
  }
  if (!done) return EXIT_FAILURE;
  if (options.only_check) std::puts("Syntax OK");
  return EXIT_SUCCESS;
}

int tell(const weir::Error& error) {
  std::fprintf(stderr, "%s: %s\n", kName, error.message().c_str());
  return EXIT_FAILURE;
}

int start(int argc, char** argv) {
  const auto parsed = parse_options(argc, argv);
  if (const auto* end = std::get_if<weir::demo::ExitCode>(&parsed)) return static_cast<int>(*end);
  const auto& options = std::get<Options>(parsed);
  mrb_state* mrb = nullptr;
  if (options.image.empty()) {
    mrb = mrb_open();
  } else {
    const auto opened = open_image(options.image);
    if (!opened) return tell(opened.error());
    mrb = *opened;
  }
  if (mrb == nullptr) {
    std::fprintf(stderr, "%s: mruby could not be started\n", kName);
    return EXIT_FAILURE;
  }
  if (options.maximum_mib != 0 &&
      weir_heap_set_limits(port_of(mrb).heap, 0, options.maximum_mib << 20) != WEIR_OK) {
    std::fprintf(stderr, "%s: %s\n", kName, weir_error_message());
    return EXIT_FAILURE;
  }
  int status = EXIT_SUCCESS;
  if (options.version || options.verbose) mrb_show_version(mrb);
  if (!options.version) status = run(mrb, options);
  if (status == EXIT_SUCCESS && !options.save_image.empty())
    if (const auto saved = save_image(mrb, options.save_image); !saved)
      status = tell(saved.error());
  mrb_close(mrb);
  return status;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return start(argc, argv);
  } catch (const std::exception& error) {  // no memory outside the heap
    std::fprintf(stderr, "%s: %s\n", kName, error.what());
    return EXIT_FAILURE;
  }
}
