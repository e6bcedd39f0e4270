// report.html of a run folder.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/run_reader.h"

namespace snug {

/// One self-contained page that loads nothing, well-formed as HTML and as XML. What a run does not have is left out.
[[nodiscard]] std::string run_page(const RunDetails& run);

// ---- its curves (run_curves.cpp) ----------------------------------------------------------------------------------

struct CurveSeries {
  std::string name;
  std::string_view ink;                           ///< a class of the page's style: "first", "second", "soft"
  std::vector<std::pair<double, double>> points;  ///< by x; what is not finite parts the line
};
struct Curve {
  std::string title, x_name;
  std::vector<CurveSeries> series;
  double mark = 0;  ///< an x to point out; 0: none
  std::string mark_name{};
  bool from_zero = false;        ///< the axis begins at 0
  bool percent = false;          ///< values are shares
  double x_low = 0, x_high = 0;  ///< both 0: of the points
};
/// Empty when no series has a point.
[[nodiscard]] std::string curve_figure(const Curve& curve);
/// Step between the marks of an axis: 1, 2 or 5 times a power of ten, three to six of them in `range`.
[[nodiscard]] double axis_step(double range);

// ---- what it looks like, behind page_style() (run_page_style.cpp)
// ----------------------------------------------------

[[nodiscard]] std::string_view run_page_style();

}  // namespace snug
