// Finds the references into the heap in objects of images, which the marker's own tables know
// nothing of, and hands each on: to mark what it leads to, to verify, to save. The world is
// stopped.
#pragma once

#include "runtime/collector/tracer.hpp"
#include "runtime/image/image.hpp"

namespace weir::collector {

class ImageTracer final : public Tracer<ImageTracer> {
 public:
  using Edge = os::FunctionRef<void(Address object, Address slot, Address target)>;
  ImageTracer(const heap::Space& space, const WordFormat& format, Edge edge)
      : Tracer(space, format), edge_(edge) {}

  // Of the objects on `part`, so far as they lie on it. Answers whether there were any.
  bool trace(const image::Image& image, Range part);

  void edge(Address slot, Address target) {
    has_found_ = true;
    edge_(object_, slot, target);
  }

 private:
  const Edge edge_;
  Address object_;
  bool has_found_ = false;
};

}  // namespace weir::collector
