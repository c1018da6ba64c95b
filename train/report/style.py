"""The page's style: light and dark as the reader's system is, one column on a phone."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d1f23; --faint: #666b75; --rule: #dcdfe5; --box: #f5f6f8;
  --mark: #fff0bd; --right: #1a7f37;
  --run-0: #1f6fd1; --run-1: #c24f08; --run-2: #23863f; --run-3: #8e44c9;
  --run-4: #8f6a08; --run-5: #c2255c; --run-6: #0a7f8a; --run-7: #6b5b4d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --ink: #e6e8ec; --faint: #9aa1ad; --rule: #343943; --box: #1d2026;
    --mark: #5c4a10; --right: #5fd07f;
    --run-0: #6aaeff; --run-1: #ff9a52; --run-2: #5fd07f; --run-3: #c99bff;
    --run-4: #e8c14a; --run-5: #ff7fa8; --run-6: #4fd0dc; --run-7: #c4b3a3;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 1120px; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 {
  font-size: 1.2rem; margin: 2.4rem 0 .6rem; padding-top: .5rem;
  border-top: 1px solid var(--rule);
}
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; overflow-wrap: anywhere; }
p { margin: .5rem 0; max-width: 46rem; }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; }
nav a { color: var(--run-0); text-decoration: none; padding: .2rem 0; }
nav a:hover { text-decoration: underline; }
.note { color: var(--faint); font-size: .875rem; }
.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 1.4rem 1.2rem; }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: .9375rem; }
figure > svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--faint); font-size: 13px; font-variant-numeric: tabular-nums; }
.grid { stroke: var(--rule); fill: none; }
.axis { stroke: var(--faint); fill: none; }
.c0 { --c: var(--run-0); } .c1 { --c: var(--run-1); } .c2 { --c: var(--run-2); }
.c3 { --c: var(--run-3); } .c4 { --c: var(--run-4); } .c5 { --c: var(--run-5); }
.c6 { --c: var(--run-6); } .c7 { --c: var(--run-7); } .plain { --c: var(--faint); }
.line { stroke: var(--c); stroke-width: 2; fill: none; stroke-linejoin: round; }
.raw { stroke: var(--c); stroke-width: 1; fill: none; opacity: .35; }
.again { stroke-dasharray: 7 3; }
.band { fill: var(--c); opacity: .2; }
.dot circle { fill: var(--c); stroke: var(--paper); stroke-width: 1.2; }
.guess { stroke: var(--c); stroke-width: 1.5; stroke-dasharray: 2 4; fill: none; }
.bar { fill: var(--c); }
.legend {
  display: flex; flex-wrap: wrap; gap: 0 1rem; margin: 0; padding: 0; list-style: none;
  font-size: .8125rem; color: var(--faint);
}
.legend li { overflow-wrap: anywhere; }
.sign { width: 18px; height: 12px; margin-right: .35rem; vertical-align: -1px; }
.box { overflow-x: auto; margin: .6rem 0; border: 1px solid var(--rule); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .875rem; }
th, td {
  padding: .35rem .7rem; text-align: right; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--rule); font-variant-numeric: tabular-nums;
}
th { background: var(--box); font-weight: 600; }
tbody tr:last-child td { border-bottom: 0; }
.text { text-align: left; }
pre { margin: 0; padding: .7rem; font: .8125rem/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
details { margin: .6rem 0; }
summary { cursor: pointer; padding: .3rem 0; color: var(--run-0); }
mark { background: var(--mark); color: inherit; border-radius: 3px; padding: 0 .15em; }
.right { color: var(--right); font-weight: 600; }
code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .8125rem; }
.guessed { white-space: nowrap; }
#samples td, #overview td { white-space: normal; }
#overview th, #configuration th, #configuration td {
  white-space: normal; overflow-wrap: anywhere;
}
#configuration td:first-child { overflow-wrap: normal; }
.sample { overflow-wrap: anywhere; }
@media (max-width: 700px) {
  body { padding: .8rem .8rem 3rem; }
  .charts { grid-template-columns: minmax(0, 1fr); }
  th, td { padding: .3rem .45rem; }
  #overview pre { white-space: pre-wrap; }
  svg text { font-size: 15px; }
}
"""
