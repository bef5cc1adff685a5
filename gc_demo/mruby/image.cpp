#include "gc_demo/mruby/image.hpp"

#include <mruby/class.h>
#include <mruby/data.h>
#include <mruby/proc.h>

#include <cstdlib>
#include <cstring>
#include <weir/status.hpp>

#include "gc_demo/mruby/port.hpp"

namespace weir::mruby {
namespace {

constexpr char kRoot[] = "mrb_state";

// As mruby's io.h has it.
struct OpenFile {
  int fd;
};

// All other Data is numbers in memory of the heap.
bool is_file(const RData* data) {
  return data->type != nullptr && std::strcmp(data->type->struct_name, "IO") == 0 &&
         data->data != nullptr && static_cast<const OpenFile*>(data->data)->fd > 2;
}

// Variables of the program that closures still have are on its stack, where the next one begins.
void close_top_level(mrb_state* mrb) {
  mrb_callinfo* top = mrb->c->cibase;
  REnv* variables = mrb_vm_ci_env(top);
  if (variables == nullptr) return;
  mrb_vm_ci_env_set(top, nullptr);
  mrb_env_unshare(mrb, variables);
}

Expected<> check(mrb_state* mrb) {
  for (const RData* data : port_of(mrb).data)
    if (is_file(data))
      return fail(ErrorCode::busy, "saving the interpreter",
                  "files or sockets are open, and cannot be saved", {},
                  mrb_obj_classname(mrb, mrb_obj_value(const_cast<RData*>(data))));
  return {};
}

}  // namespace

Expected<> save_image(mrb_state* mrb, const std::string& path) {
  close_top_level(mrb);
  mrb_full_gc(mrb);  // and files that nobody has are closed
  if (auto may = check(mrb); !may) return may;
  weir_mutator* mutator = port_of(mrb).mutator;
  void* copy = weir_allocate(mutator, WEIR_KIND_CONSERVATIVE, sizeof *mrb);
  if (copy == nullptr) return fail(ErrorCode::out_of_memory, "saving the interpreter");
  std::memcpy(copy, mrb, sizeof *mrb);
  const weir_image_root root{kRoot, copy};
  weir_image_save_config config;
  weir_image_save_config_init(&config);
  config.roots = &root;
  config.root_count = 1;
  return checked(weir_image_save(mutator, path.c_str(), &config));
}

Expected<mrb_state*> open_image(const std::string& path) {
  auto* mrb = static_cast<mrb_state*>(std::calloc(1, sizeof(mrb_state)));
  if (mrb == nullptr) return fail(ErrorCode::out_of_memory, "opening an interpreter");
  attach(mrb);
  const mrb_gc gc = mrb->gc;
  weir_image* image = nullptr;
  void* saved = nullptr;
  auto opened = checked(weir_image_open(port_of(mrb).heap, path.c_str(), nullptr, &image));
  if (opened) opened = checked(weir_image_root_get(image, kRoot, &saved));
  if (!opened) {
    detach(mrb);
    std::free(mrb);
    return Unexpected(opened.error());
  }
  std::memcpy(mrb, saved, sizeof *mrb);
  mrb->gc = gc;
  mrb->allocf = mrb_default_allocf;
  mrb->allocf_ud = nullptr;
  mrb->jmp = nullptr;
  return mrb;
}

}  // namespace weir::mruby
