// SPDX-License-Identifier: BSD-3-Clause
// Lines and signs are drawn with borders and text, which print where backgrounds do not.
#include "tools/probe/report/style.hpp"

namespace vhostx::tools::probe {

const char* const style_sheet = R"css(
:root {
  color-scheme: light dark;
  --paper: #fdfdfb; --card: #f5f5f1; --ink: #1b2024; --soft: #59636b; --line: #d9dad4; --life: #9aa3a9;
  --link: #0a58a6; --request: #0a58a6; --reply: #3d6b1f; --bad: #b3211b; --bad-paper: #fdeeec; --remark: #855400;
  --remark-paper: #fdf5e3; --good: #1d6b34; --block: #e3ebf3; --edge: #6c8aa8;
  --d: #0a58a6; --a: #1d7a3a; --u: #a2450f; --d-paper: #dbe8f6; --a-paper: #dcf0e1; --u-paper: #fae5d8;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "Liberation Mono", monospace;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --paper: #14181b; --card: #1c2226; --ink: #e4e7e9; --soft: #9da8af; --line: #343c42; --life: #5f6b73;
    --link: #7db8f5; --request: #7db8f5; --reply: #9fd07c; --bad: #ff8f85; --bad-paper: #3a1d1b; --remark: #f0bd5c;
    --remark-paper: #352a14; --good: #7fd597; --block: #223241; --edge: #6487a8;
    --d: #7db8f5; --a: #7fd597; --u: #f5a574; --d-paper: #1b3450; --a-paper: #1a3b25; --u-paper: #47291a;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3rem; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 80rem; padding: 2rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
  overflow-wrap: break-word; }
h1, h2, h3, h4 { line-height: 1.2; text-wrap: balance; }
h1 { font-size: 2rem; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.5rem; margin: 3rem 0 1rem; padding-top: 1rem; border-top: 2px solid var(--ink); }
h3 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; }
h4 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0 .8rem; max-width: 46rem; }
a { color: var(--link); text-decoration-thickness: 1px; text-underline-offset: .15em; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
code, .number, .at, .no, .bits, cite { font-family: var(--mono); font-size: .86em; }
cite { font-style: normal; color: var(--soft); }
.kind { margin: 0; color: var(--soft); font-size: .85rem; letter-spacing: .06em; text-transform: uppercase; }
.verdict { font-size: 1.1rem; margin: 0 0 1rem; }
.verdict.good { color: var(--good); }
.verdict.bad, .bad { color: var(--bad); }
.none { color: var(--soft); }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .2rem 1.5rem; font-size: .92rem; }
footer { margin-top: 4rem; color: var(--soft); font-size: .85rem; border-top: 1px solid var(--line); }

dl.summary { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 0 1.5rem; margin: 0; }
dl.summary div { border-top: 1px solid var(--line); padding: .45rem 0 .6rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; overflow-wrap: anywhere; }

ol.findings { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem; }
ol.findings li { border-left: 4px solid; padding: .5rem .9rem; }
ol.findings li.violation { border-color: var(--bad); background: var(--bad-paper); }
ol.findings li.remark { border-color: var(--remark); background: var(--remark-paper); }
.finding b { white-space: nowrap; }
.finding.violation b { color: var(--bad); }
.finding.remark b { color: var(--remark); }
.finding .place { margin-left: .5rem; }
.finding p { margin: .15rem 0 0; max-width: 60rem; overflow-wrap: anywhere; }
.finding cite { margin-left: .4rem; }
.finding cite::before { content: "§ "; }

table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: baseline; padding: .32rem .7rem .32rem 0; border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th, thead th.number { color: var(--soft); font: 600 .85rem/1.3 system-ui, "Liberation Sans", sans-serif; vertical-align: bottom; }
tbody th { font-weight: 400; }
td.number, tbody th.number { white-space: nowrap; font-variant-numeric: tabular-nums; }
td small { color: var(--soft); display: block; font-family: system-ui, sans-serif; }
table.features th.number { width: 2.5rem; }
table.features td:nth-last-child(-n+2) { width: 7rem; }
.feature { display: grid; grid-template-columns: 21rem 1fr; gap: 0 1rem; align-items: baseline; }
.feature span { color: var(--soft); }
.feature code { overflow-wrap: anywhere; }
tr:not(.accepted) .feature code { color: var(--soft); }
.yes-mark { color: var(--good); white-space: nowrap; }
.no-mark { color: var(--soft); }
.bits { color: var(--soft); overflow-wrap: anywhere; }

.beside { display: flex; flex-wrap: wrap; gap: 1rem 2rem; align-items: flex-start; }
.beside figure { margin: 0; flex: none; max-width: 100%; }
.beside table { flex: 1 1 32rem; min-width: 0; }
svg { display: block; max-width: 100%; height: auto; font: 11px system-ui, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
  fill: var(--ink); }
svg .block { fill: var(--block); stroke: var(--edge); }
svg .strong { font-weight: 600; }
svg .address, svg .place { font-family: var(--mono); font-size: 10.4px; }
svg.memory .address, svg .right { text-anchor: end; }
svg .end, svg .place { fill: var(--soft); }
svg .hole, svg .bad { text-anchor: middle; fill: var(--soft); }
svg.ring .hole, svg .start, svg.ring .bad { text-anchor: start; }
svg .bad { fill: var(--bad); font-weight: 600; }
svg .lane { text-anchor: middle; fill: var(--soft); font-weight: 600; }
svg .lane.right { text-anchor: end; font-weight: 400; }
svg .leader { fill: none; stroke: var(--life); }
svg .mark { stroke-width: 2; }
svg .mark.d { stroke: var(--d); } svg .mark.a { stroke: var(--a); } svg .mark.u { stroke: var(--u); }
svg.ring .block.d { fill: var(--d-paper); stroke: var(--d); }
svg.ring .block.a { fill: var(--a-paper); stroke: var(--a); }
svg.ring .block.u { fill: var(--u-paper); stroke: var(--u); }
svg .letter { text-anchor: middle; font-weight: 700; font-size: 14px; }
.key { display: inline-block; min-width: 1.3rem; text-align: center; font-weight: 700; border: 1px solid; margin-left: .5rem; }
.key.d { color: var(--d); } .key.a { color: var(--a); } .key.u { color: var(--u); }
.legend { font-size: .9rem; }
.legend .key:first-child { margin-left: 0; }

.rings { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 371px), 1fr)); gap: 1rem;
  margin: 1rem 0 1.5rem; }
section.ring { border: 1px solid var(--line); padding: .7rem .9rem 1rem; break-inside: avoid; min-width: 0; }
section.ring h4 { margin: 0 0 .4rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: .1rem 1rem; margin: 0 0 .8rem; font-size: .85rem; }
dl.facts div { display: flex; gap: .3rem; }
dl.facts dt { font-size: inherit; }
dl.facts .off dd { color: var(--soft); }

.sequence { font-size: .9rem; --columns: 3.2rem 6.2rem minmax(15rem, 21rem) minmax(0, 1fr); }
.sequence.three { --columns: 3.2rem 6.2rem minmax(21rem, 31rem) minmax(0, 1fr); }
.sequence ol { list-style: none; margin: 0; padding: 0; }
.who { font-size: .9rem; }
.row { display: grid; grid-template-columns: var(--columns); gap: 0 .9rem; }
.row .no, .row .at { text-align: right; color: var(--soft); padding-top: .42rem; white-space: nowrap; font-size: .8rem; }
.row .say { padding: .3rem 0; min-width: 0; overflow-wrap: anywhere; }
.row .text { unicode-bidi: isolate; }
.row details.text { overflow-wrap: anywhere; }
details.text[open] > summary { color: var(--soft); }
.lanes { position: relative; border: solid var(--life); border-width: 0 2px; min-width: 0; display: block; }
.three .lanes::before { content: ""; position: absolute; top: 0; bottom: 0; left: 60%; border-left: 2px solid var(--life); }
.lifelines { color: var(--soft); font-size: .8rem; position: sticky; top: 0; background: var(--paper); z-index: 1;
  padding: .4rem 0 .2rem; border-bottom: 1px solid var(--line); }
.lifelines .lanes { border-color: transparent; height: 1.3rem; }
.three .lifelines .lanes::before { display: none; }
.lifelines b { position: absolute; top: 0; color: var(--ink); white-space: nowrap; }
.lifelines .no, .lifelines .at, .lifelines .say { padding: 0; font-family: inherit; }
.lifelines .f { left: 0; } .two .lifelines .b { right: 0; } .three .lifelines .b { left: 60%; transform: translateX(-50%); }
.three .lifelines .c { right: 0; }
.arrow { display: block; position: relative; padding: .3rem 10px .18rem; text-align: center; color: var(--request);
  border-bottom: 1.5px solid; font: .82rem/1.3 var(--mono); overflow-wrap: anywhere; }
.arrow i { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
.three .arrow.main { margin-right: 40%; }
.three .arrow.side { margin-left: calc(60% + 2px); }
.arrow.reply { border-bottom-style: dashed; color: var(--reply); }
.arrow::after { content: ""; position: absolute; bottom: -5.2px; border: 4.5px solid transparent; }
.arrow.right::after { right: 0; border-left: 9px solid; border-right-width: 0; }
.arrow.left::after { left: 0; border-right: 9px solid; border-left-width: 0; }
.violation .arrow { color: var(--bad); font-weight: 700; border-bottom-width: 3px; }
.remark .arrow { color: var(--remark); }
.violation .arrow::after, .violation > .lanes .arrow::after { bottom: -6px; }
.moment { display: block; text-align: center; padding: .3rem .5rem; color: var(--soft); font-style: italic; }
.row.pause .lanes { border-style: dotted; }
.row.pause .moment { padding: .6rem .5rem; }
.three .row.pause .lanes::before { border-left-style: dotted; }
.row.event .text { font-style: italic; }
.pair { color: var(--soft); font-size: .86em; white-space: nowrap; }
a.pair { color: var(--link); text-decoration: none; }
a.pair:hover, a.pair:focus-visible { text-decoration: underline; }
.row .finding { display: block; margin-top: .15rem; }
.row:target, .run:target > details > summary { background: var(--remark-paper); }
details > summary { cursor: pointer; }
.part > summary { padding: .5rem 0; font-weight: 600; border-bottom: 1px solid var(--line); }
.run summary { list-style: none; }
.run summary::-webkit-details-marker { display: none; }
.run summary .more { color: var(--link); white-space: nowrap; }
.run summary .more::before { content: "▸ "; }
.run details[open] > summary .more::before { content: "▾ "; }
.run summary .arrow { font-weight: 700; border-bottom-width: 3px; }
.run summary .arrow::after { bottom: -6px; }
.run details > ol { border-left: 3px double var(--life); }
li.omitted { padding: .5rem 0 .5rem 1rem; color: var(--soft); font-style: italic; }

.fold > summary { list-style: none; }
.fold > summary::-webkit-details-marker { display: none; }
.fold > summary h2, .fold > summary h3 { display: inline-block; }
.fold > summary h2::before, .fold > summary h3::before { content: "▸ "; color: var(--link); }
.fold[open] > summary > h2::before, .fold[open] > summary > h3::before { content: "▾ "; }
.connection > .fold:not([open]) > summary > h2 { font-size: 1.05rem; margin: 0; padding: 0; border: 0; min-width: 10rem; }
.connection > .fold:not([open]) > summary { border-top: 1px solid var(--line); padding: .45rem 0; }
.connection > .fold[open] > summary { border-top: 2px solid var(--ink); margin-top: 2rem; }
.connection > .fold[open] > summary > h2 { margin: 0; padding: .8rem 0; border: 0; }
.line { color: var(--soft); font-size: .9rem; margin-left: .8rem; }
.neighbours, .links { font-size: .92rem; }
.links a, .neighbours a { margin-right: 1rem; }
fieldset.filter { border: 1px solid var(--line); margin: 0 0 1rem; padding: .3rem .9rem .5rem; display: flex; flex-wrap: wrap;
  gap: .2rem 1.4rem; font-size: .92rem; min-width: 0; }
.filter .off { color: var(--soft); }
.filter label { white-space: nowrap; }
table.overview td.number, table.overview th.number { text-align: right; padding-right: 1.2rem; }
tr.c:target { background: var(--remark-paper); }
@media screen {
  main:has(#show-bad:checked) :is(tr.c, section.connection):not(.is-bad, :target, :has(:target)),
  main:has(#show-found:checked) :is(tr.c, section.connection):not(.is-found, :target, :has(:target)),
  main:has(#show-ran:checked) :is(tr.c, section.connection):not(.is-ran, :target, :has(:target)),
  main:has(#show-open:checked) :is(tr.c, section.connection):not(.is-open, :target, :has(:target)) { display: none; }
}

@media screen and (max-width: 52rem) {
  body { padding: 1rem 1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .feature { grid-template-columns: 1fr; }
  table.overview .wide { display: none; }
  .line { display: block; margin: 0 0 0 1.2rem; }
  table.features td:nth-last-child(-n+2) { width: 4.4rem; }
  table.features { font-size: .85rem; }
  th, td { padding-right: .4rem; }
  table.cards, table.cards tbody, table.cards tr, table.cards td, table.cards tbody th { display: block; }
  table.cards thead { display: none; }
  table.cards tr { border: 1px solid var(--line); padding: .4rem .7rem; margin-bottom: .6rem; break-inside: avoid; }
  table.cards td, table.cards tbody th { border: 0; padding: .1rem 0; display: grid; grid-template-columns: 8.5rem 1fr;
    white-space: normal; overflow-wrap: anywhere; font-size: .85rem; align-items: baseline; }
  table.cards td::before, table.cards tbody th::before { content: attr(data-title); color: var(--soft);
    font-family: system-ui, sans-serif; }
  table.cards small { grid-column: 2; }
  .sequence, .sequence.three { --columns: 4.9rem minmax(0, 1fr); }
  .row { gap: 0 .5rem; }
  .row .no { grid-area: 1 / 1; padding-top: .2rem; }
  .row .at { grid-area: 2 / 1; padding-top: 0; font-size: .74rem; }
  .row .lanes { grid-area: 1 / 2; }
  .row .say { grid-area: 2 / 2; padding: .35rem .5rem .5rem; font-size: .85rem; border: solid var(--life);
    border-width: 0 2px; }
  .lifelines .at, .lifelines .say { display: none; }
  .row.pause .say { display: none; }
  .arrow { font-size: .76rem; }
  .three .lifelines .b { left: 52%; }
}
@media print {
  html { font-size: 11px; }
  body { max-width: none; padding: 0; }
  .sequence { --columns: 3rem 6.2rem 19rem minmax(0, 1fr); }
  .sequence.three { --columns: 3rem 6.2rem 26rem minmax(0, 1fr); }
  .rings { grid-template-columns: repeat(auto-fill, minmax(min(100%, 340px), 1fr)); }
  td.number, tbody th.number { white-space: normal; overflow-wrap: anywhere; }
  nav { display: none; }
  .lifelines { position: static; }
  .row, ol.findings li, tr { break-inside: avoid; }
  h2, h3, h4 { break-after: avoid; }
  .filter, .neighbours, .links { display: none; }
  .part::details-content, .fold .fold::details-content { content-visibility: visible; block-size: auto; }
  @supports selector(::details-content) {
    details.text > summary { display: none; }
    details.text::details-content { content-visibility: visible; block-size: auto; }
  }
  .more { display: none; }
  a { color: inherit; text-decoration: none; }
}
)css";

}  // namespace vhostx::tools::probe
