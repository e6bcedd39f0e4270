#include "report/run_page.h"

namespace snug {

std::string_view run_page_style() {
  return R"css(h3 { font-size: 1rem; margin: 0 0 .2rem; font-weight: 600; }
.grid2 { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1.2rem; }
.grid2 > * { min-width: 0; }
.curve { display: flex; flex-direction: column; }
.curve .plot { margin-top: auto; }
.curve .legend { margin: 0 0 .3rem; }
.plot.small { height: 15rem; overflow: hidden; padding-right: 1rem; }
.plot.small .xs { overflow: visible; }
.xs span.mid { transform: translateX(-50%); }
.xs span.last { transform: translateX(-85%); }
.area .line { fill: none; stroke-width: 2px; vector-effect: non-scaling-stroke; stroke-linejoin: round; }
.area .line.soft { stroke-dasharray: 5 4; stroke-width: 1.5px; }
.area .grid { stroke: var(--line); stroke-width: 1px; vector-effect: non-scaling-stroke; fill: none; }
.first { stroke: var(--activation); } i.first { background: var(--activation); }
.second { stroke: var(--gradient); } i.second { background: var(--gradient); }
.soft { stroke: var(--soft); } i.soft { background: var(--soft); }
.point { position: absolute; width: .5rem; height: .5rem; margin: 0 0 -.25rem -.25rem; border-radius: 50%; }
.confusion { width: auto; min-width: 0; }
.confusion th, .confusion td { padding: .25rem .45rem; text-align: center; border: 1px solid var(--line); }
.confusion tbody th { text-align: right; }
.confusion thead th.name { writing-mode: vertical-rl; transform: rotate(180deg); text-align: left; max-height: 10rem; }
.confusion td.hit { background: rgb(59 125 216 / var(--p)); }
.confusion td.miss { background: rgb(224 138 30 / var(--p)); }
.confusion td.none { color: var(--line); }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.2rem, 1fr)); gap: .8rem; list-style: none;
  padding: 0; margin: 0; }
.samples li { font-size: .82rem; line-height: 1.35; overflow-wrap: anywhere; break-inside: avoid; }
.samples img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--sheet);
  border: 1px solid var(--line); border-radius: .35rem; image-rendering: pixelated; margin-bottom: .25rem; }
.samples img.photo { image-rendering: auto; }
.samples small { color: var(--soft); display: block; }
.times { display: grid; grid-template-columns: fit-content(35%) minmax(3rem, 1fr) max-content; gap: .2rem .7rem;
  font-size: .88rem; align-items: center; max-width: 60rem; }
.times span { overflow-wrap: anywhere; }
.times div { background: var(--sheet); border-radius: .2rem; }
.times i { display: block; height: .95rem; border-radius: .2rem; background: var(--activation); }
pre { background: var(--sheet); border: 1px solid var(--line); border-radius: .4rem; padding: .6rem .8rem; margin: .4rem 0;
  white-space: pre-wrap; overflow-wrap: anywhere; font: .85rem/1.5 ui-monospace, monospace; }
.facts { color: var(--soft); font-size: .88rem; overflow-wrap: anywhere; }
@media print { .grid2 { grid-template-columns: 1fr 1fr; } .plot.small { height: 12rem; } }
)css";
}

}  // namespace snug
