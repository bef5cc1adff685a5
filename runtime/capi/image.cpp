// Images of the C API.
#include "runtime/capi/boundary.hpp"
#include "runtime/collector/saving.hpp"
#include "runtime/collector/settings.hpp"
#include "runtime/image/hot_list.hpp"

using namespace weir;
using namespace weir::capi;

namespace {

constexpr char kSaving[] = "saving a heap image";
constexpr char kOpening[] = "opening a heap image";

Expected<std::vector<image::NamedRange>> named(const weir_image_name* names, std::size_t count,
                                               const char* doing) {
  std::vector<image::NamedRange> result;
  if (count != 0 && names == nullptr)
    return fail(ErrorCode::invalid_argument, doing, "`names` is NULL");
  for (std::size_t i = 0; i < count; ++i) {
    if (names[i].name == nullptr || names[i].begin == nullptr || names[i].bytes == 0)
      return fail(ErrorCode::invalid_argument, doing, "a named range has no name, or is empty");
    result.push_back({names[i].name, Range::of(names[i].begin, names[i].bytes)});
  }
  return result;
}

std::optional<image::Codec> codec_of(const weir_codec& codec) {
  if (collector::stored_value(codec) > WEIR_CODEC_NONE) return std::nullopt;
  switch (codec) {
    case WEIR_CODEC_ZLIB:
      return image::Codec::zlib;
    case WEIR_CODEC_ZSTD:
      return image::Codec::zstd;
    case WEIR_CODEC_NONE:
      return image::Codec::none;
  }
  return std::nullopt;
}

std::optional<collector::Filling> filling_of(const weir_image_filling& filling) {
  if (collector::stored_value(filling) > WEIR_IMAGE_BACKGROUND) return std::nullopt;
  switch (filling) {
    case WEIR_IMAGE_LAZY:
      return collector::Filling::lazy;
    case WEIR_IMAGE_EAGER:
      return collector::Filling::eager;
    case WEIR_IMAGE_EAGER_VERIFY:
      return collector::Filling::eager_verified;
    case WEIR_IMAGE_BACKGROUND:
      return collector::Filling::background;
  }
  return std::nullopt;
}

Expected<collector::SaveOptions> save_options(weir_mutator* mutator,
                                              const weir_image_save_config& config) {
  collector::SaveOptions options;
  const auto codec = codec_of(config.codec);
  if (!codec) return fail(ErrorCode::invalid_argument, kSaving, "`codec` is none of its values");
  options.codec = *codec;
  options.cluster_bytes = config.cluster_bytes;
  options.threads = config.threads;
  options.modules = config.modules;
  options.compact = config.compact;
  options.progress = config.progress;
  options.progress_data = config.progress_data;
  auto names = named(config.names, config.name_count, kSaving);
  if (!names) return Unexpected(names.error());
  options.names = std::move(*names);
  if ((config.root_count != 0 && config.roots == nullptr) ||
      (config.user_bytes != 0 && config.user_data == nullptr))
    return fail(ErrorCode::invalid_argument, kSaving, "`roots` or `user_data` is NULL");
  const auto* user = static_cast<const std::byte*>(config.user_data);
  options.user_data.assign(user, user + config.user_bytes);
  for (std::size_t i = 0; i < config.root_count; ++i) {
    const weir_image_root& root = config.roots[i];
    if (root.name == nullptr)
      return fail(ErrorCode::invalid_argument, kSaving, "a root has no name");
    options.roots.emplace_back(root.name, Address(root.object));
    const auto is_object = [&] {
      const Entry entry(mutator);
      return entry.heap().is_object(Address(root.object));
    };
    if (root.object != nullptr && !is_object())
      return fail(ErrorCode::invalid_argument, kSaving,
                  ErrorText(std::string("the root '") + root.name +
                            "' is not the start of an object of the heap"));
  }
  return options;
}

}  // namespace

void weir_image_save_config_init(weir_image_save_config* config) {
  *config = {};
  config->modules = true;
}

weir_status weir_image_save(weir_mutator* mutator, const char* path,
                            const weir_image_save_config* config) {
  if (path == nullptr || *path == '\0') return invalid(kSaving, "`path` is NULL or empty");
  collector::Mutator& saving = running(mutator);
  outside_of_callbacks();
  weir_image_save_config fallback;
  weir_image_save_config_init(&fallback);
  auto options = save_options(mutator, config != nullptr ? *config : fallback);
  if (!options) return failed(options.error());
  return status_of(saving.heap().save_image(saving, path, *options));
}

weir_status weir_image_open(weir_heap* heap, const char* path, const weir_image_open_config* config,
                            weir_image** image) {
  if (path == nullptr || *path == '\0') return invalid(kOpening, "`path` is NULL or empty");
  if (image == nullptr) return invalid(kOpening, "`image` is NULL");
  const weir_image_open_config wanted = config != nullptr ? *config : weir_image_open_config{};
  const auto filling = filling_of(wanted.filling);
  if (!filling) return invalid(kOpening, "`filling` is none of its values");
  auto names = named(wanted.names, wanted.name_count, kOpening);
  if (!names) return failed(names.error());
  const collector::OpenOptions options{
      .filling = *filling,
      .names = std::move(*names),
      .hot_list = wanted.hot_list != nullptr ? wanted.hot_list : ""};
  collector::Heap& opening = given(heap);
  outside_of_callbacks();
  auto opened = opening.open_image(path, options);
  if (!opened) return failed(opened.error());
  *image = *opened;
  return WEIR_OK;
}

weir_status weir_image_root_get(weir_image* image, const char* name, void** object) {
  if (image == nullptr || name == nullptr || object == nullptr)
    return invalid("looking up a root", "`image`, `name` or `object` is NULL");
  if (!image->image->has_root(name))
    return failed(fail(ErrorCode::not_registered, "looking up a root",
                       ErrorText(std::string("the image has none called '") + name + "'")));
  *object = image->image->root(name).as();
  return WEIR_OK;
}

const void* weir_image_user_data(weir_image* image, size_t* bytes) {
  const auto& data = image->image->file().directory().user_data;
  if (bytes != nullptr) *bytes = data.size();
  return data.data();
}

weir_status weir_image_hot_list(weir_image* image, const char* path) {
  if (image == nullptr || path == nullptr || *path == '\0')
    return invalid("writing a hot list", "`image` or `path` is NULL, or it is empty");
  return status_of(image::write_hot_list(path, image->image->file(), image->image->pager()));
}

weir_status weir_prefault(weir_heap* heap, const void* begin, size_t bytes) {
  const Range range = Range::of(begin, bytes);
  if (range.end() < range.begin) return invalid("bringing in memory", "it wraps around");
  outside_of_callbacks();
  return status_of(given(heap).images().prefault(range));
}

void weir_image_get_statistics(weir_image* image, weir_image_statistics* statistics) {
  const image::PagerCounters counters = image->image->pager().counters();
  *statistics = {.cluster_bytes = image->image->file().cluster_size().bytes(),
                 .clusters = image->image->file().clusters(),
                 .filled_clusters = counters.filled,
                 .damaged_clusters = counters.damaged,
                 .read_bytes = counters.read_bytes,
                 .escaped_pages = image->escaped->size(),
                 .at_saved_address = image->image->is_at_saved_address()};
}
