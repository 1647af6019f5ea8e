/** The report page's style sheet. Colours are variables, so that the plots (canvas) follow the colour scheme too. */
export const REPORT_STYLE = `
:root {
  --page: #f6f7f9; --card: #ffffff; --text: #1c2430; --muted: #5d6877; --line: #e2e6eb; --grid: #eceff3;
  --first: #2f6fde; --second: #d9730d; --faded: #b9c2ce;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12161c; --card: #1b2129; --text: #e6eaf0; --muted: #9aa6b5; --line: #2c3540; --grid: #27303a;
    --first: #6ea3ff; --second: #f0a04b; --faded: #4b5766;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 28px 20px 48px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 10px; overflow-wrap: anywhere; }
h2 { font-size: 15px; margin: 0 0 10px; display: flex; justify-content: space-between; align-items: center; gap: 12px; }
.settings { display: flex; flex-wrap: wrap; gap: 2px 20px; margin: 0 0 20px; color: var(--muted); font-size: 13.5px; }
.settings div { display: flex; gap: 6px; min-width: 0; }
.settings dd { margin: 0; color: var(--text); overflow-wrap: anywhere; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin-bottom: 14px; }
.tile, .card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; min-width: 0; }
.tile .label, .tile .detail { color: var(--muted); font-size: 12.5px; }
.tile .value { font-size: 24px; font-weight: 600; line-height: 1.35; }
.notes { background: var(--card); border: 1px solid var(--line); border-left: 4px solid var(--second); border-radius: 6px; margin: 0 0 14px; padding: 10px 16px 10px 32px; }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(480px, 100%), 1fr)); gap: 14px; margin-bottom: 14px; }
.card + .card:not(.grid .card) { margin-top: 14px; }
.chart { min-height: 300px; overflow: hidden; }
.chart p { color: var(--muted); text-align: center; padding-top: 110px; margin: 0; }
.uplot { font-family: inherit; }
.u-legend { color: var(--muted); font-size: 12.5px; }
select { font: inherit; font-weight: 400; font-size: 13px; max-width: 60%; color: var(--text); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: 3px 6px; }
.scroll { overflow-x: auto; }
table:not(.u-legend) { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
.scroll th, .scroll td { padding: 6px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
.scroll tbody tr:last-child > * { border-bottom: 0; }
.scroll thead th { color: var(--muted); font-size: 12.5px; font-weight: 600; }
.scroll th:first-child { text-align: left; }
.scroll tbody th { font-weight: 400; }
.summary tbody th { white-space: normal; }
.layers { font-size: 13.5px; }
.layers .barcell { text-align: left; min-width: 190px; }
.layers .barcell span { margin-left: 8px; }
.bar { display: inline-block; vertical-align: middle; width: 110px; height: 9px; border-radius: 5px; background: var(--grid); overflow: hidden; }
.bar div { height: 100%; background: var(--first); }
@media print { body { background: none; } .card, .tile { break-inside: avoid; } }
`;
