"""The page's style: light and dark as the reader's system is, one column on a phone."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1d1f23; --faint: #5f6570; --rule: #d3d7de; --box: #f5f6f8;
  --blue: #1f6fd1; --on-blue: #ffffff; --red: #d92b2b; --bad: #b3261e; --mask: #fff0bd;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --ink: #e6e8ec; --faint: #9aa1ad; --rule: #3a404b; --box: #1d2026;
    --blue: #6aaeff; --on-blue: #10141a; --red: #ff5f5f; --bad: #ff8f85; --mask: #5c4a10;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 1.2rem 1rem 4rem; max-width: 46rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
p { margin: .5rem 0; }
.note { color: var(--faint); font-size: .875rem; }
header .note { margin: 0 0 1rem; }
button, input, select, textarea { font: inherit; color: inherit; }
[role=tablist] { display: flex; border-bottom: 1px solid var(--rule); }
[role=tab] {
  padding: .55rem 1rem; border: 0; border-bottom: 3px solid transparent; background: none;
  color: var(--faint); cursor: pointer;
}
[role=tab][aria-selected=true] { color: var(--ink); border-color: var(--blue); font-weight: 600; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; }
label { font-size: .875rem; color: var(--faint); }
textarea, input[type=number], select {
  background: var(--box); border: 1px solid var(--rule); border-radius: 6px; color: var(--ink);
}
textarea { display: block; width: 100%; padding: .6rem .7rem; font-size: 1rem; resize: vertical; }
input[type=number], select {
  display: block; width: 100%; height: 2.5rem; padding: .4rem .5rem; font-size: 1rem;
}
#words { line-height: 2.5; overflow-wrap: anywhere; }
#words button {
  padding: .2rem .4rem; border: 1px solid var(--rule); border-radius: 6px; background: none;
  line-height: 1.4;
  cursor: pointer; max-width: 100%;
}
#words button[aria-pressed=true] { background: var(--mask); border-color: transparent; }
fieldset {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .6rem;
  align-items: end; margin: .8rem 0 0; padding: 0; border: 0; min-width: 0;
}
#go {
  margin: 1rem 0; padding: .6rem 1.6rem; border: 0; border-radius: 6px; cursor: pointer;
  background: var(--blue); color: var(--on-blue); font-weight: 600;
}
#go[aria-disabled=true] { opacity: .55; cursor: progress; }
#error { color: var(--bad); border-left: 3px solid var(--bad); padding-left: .7rem; }
#error, #result { overflow-wrap: anywhere; }
.said { font-size: 1.125rem; white-space: pre-wrap; }
.new, .filled { background: var(--mask); border-radius: 3px; padding: 0 .1em; margin: 0 -.1em; }
.fillings {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1.2rem;
}
h2 { font-size: .9375rem; margin: .8rem 0 .3rem; }
ol { margin: 0; padding: 0; list-style: none; }
li {
  display: grid; grid-template-columns: minmax(0, 1fr) 4.2em; gap: .5rem; padding: .15rem .4rem;
  border-radius: 4px; margin-bottom: 2px;
  background: linear-gradient(var(--rule), var(--rule)) no-repeat 0 / var(--share) 100%;
}
li span + span { text-align: right; font-variant-numeric: tabular-nums; color: var(--faint); }
.token {
  border-radius: 3px;
  background: color-mix(in srgb, var(--red) calc(var(--share) * .75), transparent);
}
.token.replaced { box-shadow: 0 3px 0 var(--red); font-weight: 600; }
#limit { display: block; max-width: 20rem; margin-top: 1rem; }
#threshold { display: block; width: 100%; accent-color: var(--blue); }
"""
