// Tells the story to a person: a line for every step, and the picture of the pages below.
#pragma once

#include <string>

#include "gc_demo/cracauer/story.hpp"
#include "gc_demo/shared/terminal.hpp"

namespace weir::cracauer {

using demo::Style;
using demo::Terminal;

class Narrator final : public Audience {
 public:
  void on_note(const std::string& note) override;
  void on_setting(const Report& report) override;
  void on_act(const char* title) override;
  void on_event(const Touch& touch, const Event& event, const Report& report) override;
  void on_touch_end(const Touch& touch, const Report& report) override;
  void on_armed(const Report& report) override;
  void on_end(const Report& report) override;

 private:
  void paragraph(const std::string& text, Style style = Style::plain);

  Terminal terminal_;
  bool headed_ = false;    // the columns of this act
  bool pictured_ = false;  // after the last touch
};

// What a step of the fault path means, in words.
std::string words_for(const Touch& touch, const Event& event, const Options& options);

}  // namespace weir::cracauer
