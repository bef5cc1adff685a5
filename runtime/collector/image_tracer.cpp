#include "runtime/collector/image_tracer.hpp"

namespace weir::collector {

bool ImageTracer::trace(const image::Image& image, Range part) {
  has_found_ = false;
  image.for_each_object_on(part, [this](const heap::Found& object, Range traced) {
    object_ = object.range.begin;
    trace_part(object, traced.begin - object_, traced.end() - object_);
  });
  return has_found_;
}

}  // namespace weir::collector
