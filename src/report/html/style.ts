// The look of the page: one column on a phone, light or dark as the reader's system is.

export const STYLE = `
:root {
	color-scheme: light dark;
	--paper: #f6f5f2; --card: #ffffff; --ink: #1c1f26; --muted: #5d6572; --line: #dfddd6;
	--a: #2563a8; --b: #c2570c; --c: #2f8f6b; --d: #8b5fbf; --e: #a3a8b1; --mark: #fdeeb8;
}
@media (prefers-color-scheme: dark) {
	:root {
		--paper: #121419; --card: #1a1d23; --ink: #e8eaee; --muted: #9aa3b1; --line: #2e333d;
		--a: #6cb0f5; --b: #f29a5c; --c: #5fc79b; --d: #bb9cf0; --e: #6b7280; --mark: #4b3f12;
	}
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main, header { max-width: 62rem; margin: 0 auto; padding: 0 1rem; }
header { padding-top: 2rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; text-wrap: balance; }
h2 { font-size: 1.2rem; margin: 0 0 .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .25rem 0 .75rem; max-width: 46rem; }
.muted, figcaption small, .how { color: var(--muted); }
.path { overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.25rem; margin: 1rem 0; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .75rem; margin: 1rem 0; padding: 0; list-style: none; }
.warnings { list-style: none; padding: 0; }
.warnings li { background: var(--mark); border-radius: .75rem; padding: .5rem 1rem; margin: .5rem 0; overflow-wrap: anywhere; }
.tiles li { background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: .75rem 1rem; }
.tiles b { display: block; font-size: 1.45rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.tiles span { display: block; color: var(--muted); font-size: .85rem; }
figure { margin: 1rem 0 0; }
figcaption { font-weight: 600; }
figcaption small { display: block; font-weight: 400; font-size: .85rem; }
.chart { margin: .5rem 0; }
.chart svg { display: block; max-width: 100%; height: auto; font-family: inherit; }
.narrow { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .25rem 0; padding: 0; list-style: none; font-size: .85rem; }
.legend i { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin-right: .4em; border: 1px solid var(--line); }
details { margin: .25rem 0; }
summary { cursor: pointer; color: var(--muted); font-size: .85rem; padding: .25rem 0; }
.scroll { overflow-x: auto; }
.rows { max-height: 24rem; overflow: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
thead th { color: var(--muted); font-weight: 500; font-size: .85rem; }
.number { text-align: right; }
td.number { white-space: nowrap; }
th:last-child, td:last-child { padding-right: 0; }
code, pre { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .85em; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; background: var(--paper); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; margin: .5rem 0; }
.token { display: inline-block; max-width: 14em; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; background: var(--paper); border: 1px solid var(--line); border-radius: .3rem; padding: 0 .3em; white-space: pre; }
mark { background: var(--mark); color: inherit; border-radius: .2em; }
.near { display: flex; flex-wrap: wrap; gap: .25rem; margin: 0; padding: 0; list-style: none; }
.near .gone { border-style: dashed; color: var(--muted); }
.near .new { background: var(--mark); }
.sample { border-top: 1px solid var(--line); padding: .75rem 0; display: grid; gap: .25rem 1.5rem; grid-template-columns: 1fr 1fr; }
.sample > div { min-width: 0; overflow-wrap: anywhere; }
.sample .whole { grid-column: 1 / -1; }
.sample h4 { margin: 0; font-size: .75rem; font-weight: 500; color: var(--muted); text-transform: uppercase; letter-spacing: .04em; }
.sample p { margin: 0; white-space: pre-line; }
.flows { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); gap: 1rem 1.5rem; }
.flow svg { display: block; width: 100%; max-width: 27rem; height: auto; }
.flow text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: var(--ink); }
.flow .soft { fill: var(--muted); }
.flow .strong { font-weight: 700; }
.flow .step { fill: var(--paper); stroke: var(--a); }
.flow .minor { fill: var(--paper); stroke: var(--e); stroke-dasharray: 3 3; }
.flow .tensor { fill: color-mix(in srgb, var(--b) 14%, var(--card)); stroke: var(--b); }
.flow .wire { stroke: var(--muted); fill: none; }
.flow .tip { fill: var(--muted); }
footer { color: var(--muted); font-size: .85rem; padding: 1rem 0 3rem; }
@media (max-width: 44rem) {
	section { padding: 1rem .85rem; }
	.wide { display: none; }
	.narrow { display: block; }
	.tiles { grid-template-columns: 1fr 1fr; }
	.tiles b { font-size: 1.15rem; }
	.sample { grid-template-columns: 1fr; }
	h1 { font-size: 1.3rem; }
}
@media print { section { break-inside: avoid; border: none; } }
`;
