// Style and script of the page. No "]]>" and no "</" may stand in the script: it lies in a CDATA section.
#include "report/plan_page.h"

namespace snug {

std::string_view page_style() {
  return R"css(:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --sheet: #f2f2ee; --ink: #1c1d21; --soft: #5b5e66; --line: #d5d5cf; --link: #0b57a4;
  --activation: #3b7dd8; --gradient: #e08a1e; --workspace: #1f9d74; --weight: #9a63c9; --optimizer: #c78bdc;
  --statistic: #d9b93a; --input: #6cb6d9; --driver: #8b8e96; --library: #aeb1b8; --padding: #d3d4d8;
  --good: #16794f; --bad: #b3261e; --hit: #111;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #16171a; --sheet: #202226; --ink: #e9e9e6; --soft: #a3a6ad; --line: #3a3d43; --link: #8ab8f2;
    --activation: #5b97ea; --gradient: #eda040; --workspace: #35b98c; --weight: #b483e0; --optimizer: #d9a9ea;
    --statistic: #e3c95c; --input: #83c8e8; --driver: #80838b; --library: #63666d; --padding: #484b51;
    --good: #5fce9b; --bad: #ff8a80; --hit: #fff;
  }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --sheet: #fff; --ink: #000; --soft: #444; --line: #bbb; --link: #000;
    --activation: #3b7dd8; --gradient: #e08a1e; --workspace: #1f9d74; --weight: #9a63c9; --optimizer: #c78bdc;
    --statistic: #d9b93a; --input: #6cb6d9; --driver: #8b8e96; --library: #aeb1b8; --padding: #d3d4d8;
    --good: #16794f; --bad: #b3261e;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .tools, .readout { display: none !important; }
  .layers { font-size: 7.5pt !important; }
  .layers th, .layers td { padding-right: .5em; }
  .layers th:first-child { position: static !important; min-width: 11em; }
  figure, .card, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
  .wide { overflow: visible !important; max-height: none !important; }
  body { font-size: 10pt !important; max-width: none !important; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 90rem; padding: 0 clamp(.8rem, 3vw, 2.5rem) 3rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: clamp(1.35rem, 4vw, 2rem); line-height: 1.2; margin: 1.6rem 0 .4rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
code { font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.verdict { margin: 0 0 1rem; font-weight: 600; }
.good { color: var(--good); }
.bad { color: var(--bad); }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); gap: .6rem; margin: 0; }
.card { background: var(--sheet); border: 1px solid var(--line); border-radius: .5rem; padding: .55rem .75rem; }
.card dt { color: var(--soft); font-size: .85rem; }
.card dd { margin: 0; font-size: 1.2rem; font-weight: 600; overflow-wrap: anywhere; }
.card small { display: block; color: var(--soft); font-size: .78rem; font-weight: 400; line-height: 1.3; }
.findings { list-style: none; padding: 0; }
.findings li { border-left: .25rem solid var(--line); padding: .2rem .8rem; margin: .5rem 0; overflow-wrap: anywhere; }
.findings .error { border-color: var(--bad); }
.findings .warning { border-color: var(--gradient); }
figure { margin: 0; }
figcaption, .note { color: var(--soft); font-size: .88rem; max-width: 60rem; margin: .3rem 0 .6rem; }
.readout { background: var(--sheet); border: 1px solid var(--line); border-radius: .4rem; padding: .35rem .7rem;
  margin: .5rem 0; font-size: .9rem; min-height: 3.8em; overflow-wrap: anywhere; }
@media (min-width: 60rem) { .readout { min-height: 2.2em; } }
.tools { display: flex; flex-wrap: wrap; gap: .6rem; justify-content: space-between; align-items: center; }
.tools label { color: var(--soft); font-size: .9rem; }
input, button { font: inherit; color: inherit; background: var(--sheet); border: 1px solid var(--line);
  border-radius: .4rem; padding: .3rem .6rem; }
input { width: 14rem; max-width: 60vw; }
.buttons button { min-width: 2.6rem; margin-left: .4rem; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; list-style: none; padding: 0; margin: .5rem 0;
  font-size: .85rem; color: var(--soft); }
.legend i, th i { display: inline-block; width: .8em; height: .8em; border-radius: .15em; margin-right: .45em; }
.plot { border: 1px solid var(--line); border-radius: .5rem; background: var(--sheet); padding: .3rem; height: 24rem; }
.zoom { overflow: auto; height: min(34rem, 75vh); }
.stage { display: grid; grid-template: "corner phases" auto "ys area" 1fr "none xs" 1.5rem / 4.4rem 1fr;
  width: calc(100% * var(--z, 1)); height: calc(100% * var(--z, 1)); }
.phases { grid-area: phases; position: relative; height: 1.35rem; font-size: .75rem; }
.phases:empty { height: .4rem; }
.phases span { position: absolute; top: 0; height: 1.2rem; overflow: hidden; text-overflow: clip; white-space: nowrap;
  padding-left: .3rem; border-left: 1px solid var(--soft); color: var(--soft); }
.phases span.last { left: auto; right: 0; border: 0; padding-right: .2rem; }
.ys { grid-area: ys; position: sticky; left: 0; z-index: 2; background: var(--sheet); }
.ys span { position: absolute; right: .5rem; transform: translateY(50%); font-size: .75rem; color: var(--soft);
  white-space: nowrap; }
.xs { grid-area: xs; position: relative; font-size: .75rem; color: var(--soft); overflow: hidden; }
.xs span { position: absolute; top: .15rem; transform: translateX(-50%); }
.xs span:first-child { transform: none; }
.xs span { white-space: nowrap; }
.area { grid-area: area; position: relative; min-height: 0; border-left: 1px solid var(--soft);
  border-bottom: 1px solid var(--soft); }
.area svg { position: absolute; inset: 0; width: 100%; height: 100%; display: block; }
.floor rect { vector-effect: non-scaling-stroke; }
.floor rect:nth-child(2n) { fill-opacity: .9; }
.floor rect:nth-child(3n) { fill-opacity: .78; }
.floor rect:nth-child(5n) { fill-opacity: .68; }
.floor rect:nth-child(7n) { fill-opacity: .84; }
.floor rect.dim { opacity: .13; }
.floor rect.on { stroke: var(--hit); stroke-width: 2px; }
.memory path { opacity: .92; }
.memory .cursor { stroke: var(--hit); stroke-width: 1px; vector-effect: non-scaling-stroke; visibility: hidden; }
.batches .line { fill: none; stroke: var(--soft); stroke-width: 1.5px; vector-effect: non-scaling-stroke; }
.mark { position: absolute; top: 0; bottom: 0; border-left: 1.5px dashed var(--ink); pointer-events: none; }
.mark span, .level span { position: absolute; font-size: .75rem; line-height: 1.3; padding: 0 .3rem;
  background: var(--sheet); border-radius: .2rem; white-space: nowrap; }
.mark span { top: 2px; left: 3px; }
.mark.left span { left: auto; right: 3px; }
.level { position: absolute; left: 0; right: 0; border-top: 1.5px solid; pointer-events: none; }
.level span { right: 4px; bottom: 2px; }
.level.total { border-top-style: dotted; color: var(--ink); }
.level.total span { right: auto; left: 4px; }
.level.budget { color: var(--bad); }
.dot { position: absolute; width: .7rem; height: .7rem; margin: 0 0 -.35rem -.35rem; border-radius: 50%;
  border: 2px solid var(--sheet); }
.dot.fits { background: var(--good); }
.dot.fails { background: var(--bad); }
.dot.chosen { width: 1.05rem; height: 1.05rem; margin: 0 0 -.52rem -.52rem; box-shadow: 0 0 0 2px var(--ink); }
.activation { fill: var(--activation); } i.activation { background: var(--activation); }
.gradient { fill: var(--gradient); } i.gradient { background: var(--gradient); }
.workspace { fill: var(--workspace); } i.workspace { background: var(--workspace); }
.weight { fill: var(--weight); } i.weight { background: var(--weight); }
i.optimizer { background: var(--optimizer); }
i.statistic { background: var(--statistic); }
.input { fill: var(--input); } i.input { background: var(--input); }
.driver { fill: var(--driver); } i.driver { background: var(--driver); }
i.library { background: var(--library); }
i.padding { background: var(--padding); }
.statistic, .optimizer, .master { fill: var(--statistic); }
.bar { display: flex; height: 1.6rem; border-radius: .4rem; overflow: hidden; margin-bottom: .8rem; break-after: avoid; }
.bar i { min-width: 0; flex-basis: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; min-width: min(100%, 26rem); }
th, td { padding: .28rem .8rem .28rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th:first-child { text-align: left; }
tbody th, tfoot th { font-weight: 500; }
.text { text-align: left; }
.breakdown td.text { white-space: normal; min-width: 8rem; color: var(--soft); }
@media (max-width: 32rem) {
  th, td { padding-right: .5rem; }
  table { min-width: 100%; font-size: .85rem; }
  .breakdown td.text { font-size: .78rem; line-height: 1.3; }
}
thead th { color: var(--soft); font-weight: 600; background: var(--paper); }
tfoot th, tfoot td { font-weight: 600; border-bottom: 0; }
.remedies td:first-child { text-align: left; white-space: pre-wrap; }
.chosen th { font-weight: 700; }
.layers { width: 100%; }
.layers th:first-child { position: sticky; left: 0; background: var(--paper); min-width: 6.5rem; max-width: 45vw;
  white-space: normal; overflow-wrap: anywhere; z-index: 1; }
.layers thead button { background: none; border: 0; padding: .2rem 0; font-weight: 600; color: inherit; }
.layers [aria-sort=ascending] button::after { content: " ↑"; }
.layers [aria-sort=descending] button::after { content: " ↓"; }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--link); }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem; }
)css";
}

std::string_view page_script() {
  return R"js("use strict";
const byId = (id) => document.getElementById(id);
const steps = JSON.parse(byId("steps").textContent);
const bytes = (count) => {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (count >= 1000 && unit + 1 < units.length) { count /= 1024; unit += 1; }
  return (unit === 0 ? count : count.toPrecision(3)) + " " + units[unit];
};

// The floor plan: what a block is, which blocks match, how large it is drawn.
const floor = document.querySelector("svg.floor");
if (floor) {
  let shown = null;
  const show = (event) => {
    const block = event.target.closest("rect");
    if (!block || block === shown) return;
    if (shown) shown.classList.remove("on");
    shown = block;
    block.classList.add("on");
    byId("buffer").textContent = block.firstElementChild.textContent;
  };
  floor.addEventListener("pointermove", show);
  floor.addEventListener("pointerdown", show);
  const blocks = [...floor.querySelectorAll("rect")].map((block) => [block, block.textContent.toLowerCase()]);
  byId("find").addEventListener("input", (event) => {
    const wanted = event.target.value.trim().toLowerCase();
    let found = 0;
    for (const [block, text] of blocks) {
      const fits = text.split(" · ").slice(0, -2).join(" ").includes(wanted);
      block.classList.toggle("dim", !fits);
      if (fits) found += 1;
    }
    byId("buffer").textContent = wanted ? found + " of " + blocks.length + " blocks match" : "";
  });
  const plot = floor.closest(".plot");
  const stage = floor.closest(".stage");
  let zoom = 1;
  const enlarge = (factor) => {
    const next = Math.min(16, Math.max(1, zoom * factor));
    const x = (plot.scrollLeft + plot.clientWidth / 2) / plot.scrollWidth;
    const y = (plot.scrollTop + plot.clientHeight / 2) / plot.scrollHeight;
    zoom = next;
    stage.style.setProperty("--z", zoom);
    plot.scrollLeft = x * plot.scrollWidth - plot.clientWidth / 2;
    plot.scrollTop = y * plot.scrollHeight - plot.clientHeight / 2;
  };
  byId("larger").addEventListener("click", () => enlarge(2));
  byId("smaller").addEventListener("click", () => enlarge(0.5));
}

// The memory curve: what a step does. Arrow keys walk along it.
const memory = document.querySelector("svg.memory");
if (memory) {
  const cursor = memory.querySelector(".cursor");
  let at = -1;
  const show = (step) => {
    at = Math.min(steps.length - 1, Math.max(0, step));
    const [op, phase, layer, live, scratch] = steps[at];
    cursor.setAttribute("x1", at + 0.5);
    cursor.setAttribute("x2", at + 0.5);
    cursor.style.visibility = "visible";
    byId("step").textContent = "step " + at + " · " + phase + " · " + op + (layer ? " · layer " + layer : "") + " · " +
      bytes(live) + " alive" + (scratch ? ", of which workspace " + bytes(scratch) : "");
  };
  const point = (event) => {
    const box = memory.getBoundingClientRect();
    show(Math.floor((event.clientX - box.left) / box.width * steps.length));
  };
  memory.addEventListener("pointermove", point);
  memory.addEventListener("pointerdown", point);
  memory.closest(".plot").addEventListener("keydown", (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (move) { show(at + move); event.preventDefault(); }
  });
}

// Tables sort by the column whose title is pressed; a second press turns the order.
const table = byId("layer-table");
table.querySelectorAll("thead th").forEach((title, column) => {
  title.addEventListener("click", () => {
    const down = title.getAttribute("aria-sort") !== "descending";
    table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
    title.setAttribute("aria-sort", down ? "descending" : "ascending");
    const body = table.tBodies[0];
    const value = (row) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
    };
    const order = (a, b) => typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    const rows = [...body.rows].sort((a, b) => order(value(a), value(b)));
    if (down) rows.reverse();
    body.append(...rows);
  });
});

// On paper what is folded cannot be opened; lists of many pages stay folded.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => {
  if (part.querySelectorAll("tr").length < 60) part.open = true;
}));
)js";
}

}  // namespace snug
