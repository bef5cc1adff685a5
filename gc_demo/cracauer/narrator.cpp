#include "gc_demo/cracauer/narrator.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "gc_demo/cracauer/picture.hpp"

namespace weir::cracauer {
namespace {

constexpr std::size_t kWidth = 79;

Style style_of(const std::string& who) {
  if (who == "main") return Style::blue;
  if (who == "worker") return Style::cyan;
  return Style::plain;
}

std::string words_for_mode(const Options& options) {
  const std::string name = mode_name(options);
  for (const Mode& mode : kModes)
    if (name == mode.name) return fmt::format("Mode {}: {}.", name, mode.summary);
  return fmt::format("{}.", name);
}

std::string words_for_setting(const Report& report) {
  const Options& options = report.options;
  const char* library = image::library_of(options.codec);
  const std::string codec =
      options.codec == image::Codec::none ? "as they are"
      : library == std::string_view(image::name_of(options.codec))
          ? fmt::format("compressed by {}", library)
          : fmt::format("compressed by {} ({})", library, image::name_of(options.codec));
  return fmt::format("{} pages of {} bytes are on disk, {}: {} bytes in {}.", options.pages,
                     report.page_size, codec, report.stored_bytes, report.folder);
}

std::string words_for_region(const Report& report) {
  const Options& options = report.options;
  const char* fills =
      options.delivery == Delivery::thread ? "a handler thread" : "a SIGBUS handler";
  const char* registered = options.barrier == BarrierKind::mprotect ? "MISSING" : "MISSING|WP";
  return fmt::format(
      "The region {:#x}-{:#x} is registered {}: {} fills missing pages, writes are the business of "
      "barrier {}.",
      report.region.begin.value(), report.region.end().value(), registered, fills,
      name_of(options.barrier));
}

}  // namespace

void Narrator::paragraph(const std::string& text, Style style) {
  std::string rest = text;
  while (rest.size() > kWidth) {
    const std::size_t space = rest.rfind(' ', kWidth);
    if (space == std::string::npos) break;
    terminal_.line(terminal_.styled(style, rest.substr(0, space)));
    rest.erase(0, space + 1);
  }
  terminal_.line(terminal_.styled(style, rest));
}

void Narrator::on_note(const std::string& note) {
  paragraph(note, Style::yellow);
  terminal_.line("");
}

void Narrator::on_setting(const Report& report) {
  paragraph("Pages inflate when they are first touched; the MMU notices who writes.", Style::bold);
  paragraph(words_for_mode(report.options));
  paragraph(words_for_setting(report));
  paragraph(words_for_region(report));
  terminal_.set_picture(picture_of(report.pages, terminal_));
  terminal_.show_picture();
}

void Narrator::on_act(const char* title) {
  if (terminal_.is_live()) terminal_.line("");
  paragraph(title, Style::bold);
  headed_ = false;
  terminal_.pause();
}

void Narrator::on_event(const Touch& touch, const Event& event, const Report& report) {
  const auto say = [&](const std::string& who, const std::string& when, const std::string& what) {
    terminal_.line(fmt::format("{:>7}  {} {:>4}  {}", when,
                               terminal_.styled(style_of(who), fmt::format("{:<14}", who)),
                               event.page, what));
  };
  const bool begins = event.entry.step == Step::touch;
  if (begins && headed_ && !pictured_) terminal_.line("");
  pictured_ = false;
  if (!headed_) terminal_.line(terminal_.styled(Style::faint, "     us  who            page"));
  headed_ = true;
  if (event.entry.step == Step::went_on && touch.noted_by_kernel)
    say("kernel", "", "resolves the write fault itself, and tells nobody");
  say(event.who, fmt::format("{:.1f}", event.microseconds),
      words_for(touch, event, report.options));
  terminal_.set_picture(picture_of(report.pages, terminal_));
  terminal_.pause();
}

void Narrator::on_touch_end(const Touch&, const Report&) {
  pictured_ = terminal_.show_picture();
}

void Narrator::on_armed(const Report& report) {
  terminal_.set_picture(picture_of(report.pages, terminal_));
  terminal_.show_picture();
  terminal_.pause();
}

void Narrator::on_end(const Report& report) {
  on_act("The dirty set is taken, then every page is compared with what it should be.");
  terminal_.set_picture(picture_of(report.pages, terminal_));
  terminal_.show_picture();
  terminal_.drop_picture();
  terminal_.line(fmt::format("Dirty set        {{{}}}", fmt::join(report.dirty, ", ")));
  terminal_.line(fmt::format("First words      {:#x}", fmt::join(report.first_words, " ")));
  terminal_.line(
      fmt::format("Inflated         {} of {} pages, before the comparison touched them all",
                  report.inflated_before_check, report.options.pages));
  const std::size_t differences = report.differences.size();
  if (differences != 0)
    terminal_.line(
        terminal_.styled(Style::red, fmt::format("Things that differ: {}", differences)));
  else
    terminal_.line(terminal_.styled(
        Style::green, "All as it should be: nothing lost, nothing extra, every page as expected."));
}

}  // namespace weir::cracauer
