import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { REPORT_SCRIPT } from './reportScript.js';
import { REPORT_STYLE } from './reportStyle.js';

/** A figure of the dense and of the pruned network; null where it was not measured. */
export interface DensePruned {
  readonly dense: number | null;
  readonly pruned: number | null;
}

/** One weight tensor. `threshold` is the magnitude below which its entries were cut. */
export interface ReportLayer {
  readonly name: string;
  readonly shape: readonly number[];
  readonly parameters: number;
  readonly nonzeros: number;
  readonly macs: DensePruned;
  readonly threshold: number | null;
}

/** How weights were distributed before the final cut. `edges` has one entry more than `counts`. */
export interface ReportHistogram {
  readonly name: string;
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly threshold: number | null;
}

/** All a report shows. Fractions (accuracy, sparsity) are in [0, 1]. JSON holds it whole, and the page carries it so. */
export interface ReportData {
  readonly title: string;
  /** What was run: model, data, method, seed, device, command ... in the order to show. */
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  readonly accuracy: DensePruned;
  readonly sparsity: { readonly asked: number; readonly prunable: number; readonly all: number };
  readonly parameters: { readonly prunable: number; readonly all: number };
  /** Over all parameters. */
  readonly nonzeros: DensePruned;
  /** Multiply-accumulates for one sample; pruned counts those with a nonzero weight. */
  readonly macs: DensePruned;
  /** Bytes of the saved file. */
  readonly bytes: DensePruned;
  readonly msPerBatch: DensePruned;
  readonly batchSize: number;
  /** Sentences the reader must not miss, for instance what gives no speed-up here. */
  readonly notes: readonly string[];
  /** Lists as long as `steps`; null where a series has no value at a step. */
  readonly curves: {
    readonly steps: readonly number[];
    readonly loss: readonly (number | null)[];
    readonly trainAccuracy: readonly (number | null)[];
    readonly testAccuracy: readonly (number | null)[];
    readonly sparsity: readonly (number | null)[];
  };
  /** Where something begins (warm-up, pruning, ...), marked in the curves. */
  readonly phases: readonly { readonly name: string; readonly step: number }[];
  readonly layers: readonly ReportLayer[];
  readonly histograms: readonly ReportHistogram[];
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => ESCAPES[char] ?? char);
}

/** JSON that a script element can hold: without `<` nothing in it can end the element or open a comment. */
function embeddedJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

type Format = (value: number) => string;
const ABSENT = '–';
const whole: Format = (value) => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
const percent: Format = (value) => `${(100 * value).toFixed(2)} %`;
const milliseconds: Format = (value) => `${value.toFixed(value < 10 ? 2 : 1)} ms`;

/** A count or size with a unit prefix, three digits: 1.23 M. */
function scaled(unit: string): Format {
  const prefixes: [size: number, prefix: string][] = [
    [1e12, 'T'],
    [1e9, 'G'],
    [1e6, 'M'],
    [1e3, 'k'],
  ];
  return (value) => {
    const [size, prefix] = prefixes.find(([least]) => value >= least) ?? [1, ''];
    const digits = size === 1 ? String(Math.round(value)) : (value / size).toPrecision(3);
    return `${digits} ${prefix}${unit}`.trimEnd();
  };
}
const bytes = scaled('B');
const count = scaled('');

function shown(value: number | null, format: Format): string {
  return value === null || !Number.isFinite(value) ? ABSENT : format(value);
}

/** How the pruned figure relates to the dense one where less is better; `words` for less and for more of it. */
function ratio({ dense, pruned }: DensePruned, words: readonly [less: string, more: string]): string {
  if (dense === null || pruned === null || !(dense > 0) || !(pruned > 0)) return ABSENT;
  const factor = Math.max(dense / pruned, pruned / dense).toFixed(2);
  return factor === '1.00' ? 'no change' : `${factor}× ${words[dense > pruned ? 0 : 1]}`;
}

function fewer(pair: DensePruned): string {
  return ratio(pair, ['less', 'more']);
}

function faster(pair: DensePruned): string {
  return ratio(pair, ['faster', 'slower']);
}

function points({ dense, pruned }: DensePruned): string {
  if (dense === null || pruned === null) return ABSENT;
  const difference = 100 * (pruned - dense);
  return `${difference < 0 ? '−' : '+'}${Math.abs(difference).toFixed(2)} points`;
}

function tile(label: string, value: string, detail: string): string {
  return `<div class="tile"><div class="label">${escapeHtml(label)}</div><div class="value">${escapeHtml(value)}</div><div class="detail">${escapeHtml(detail)}</div></div>`;
}

function tiles(data: ReportData): string {
  return [
    tile(
      'Test accuracy',
      shown(data.accuracy.pruned, percent),
      `dense ${shown(data.accuracy.dense, percent)}, ${points(data.accuracy)}`,
    ),
    tile(
      'Sparsity',
      percent(data.sparsity.prunable),
      `asked ${percent(data.sparsity.asked)}; ${percent(data.sparsity.all)} of all parameters`,
    ),
    tile(
      'Nonzeros',
      shown(data.nonzeros.pruned, count),
      `of ${count(data.parameters.all)} parameters, ${fewer(data.nonzeros)}`,
    ),
    tile(
      'Bytes on disk',
      shown(data.bytes.pruned, bytes),
      `dense ${shown(data.bytes.dense, bytes)}, ${fewer(data.bytes)}`,
    ),
    tile(
      `Time a batch of ${data.batchSize}`,
      shown(data.msPerBatch.pruned, milliseconds),
      `dense ${shown(data.msPerBatch.dense, milliseconds)}, ${faster(data.msPerBatch)}`,
    ),
  ].join('\n');
}

function row(cells: readonly string[]): string {
  const [head = '', ...rest] = cells;
  return `<tr><th scope="row">${escapeHtml(head)}</th>${rest.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}</tr>`;
}

function summaryRows(data: ReportData): string {
  const compare = (label: string, pair: DensePruned, format: Format, change: string): string =>
    row([label, shown(pair.dense, format), shown(pair.pruned, format), change]);
  const { sparsity, parameters } = data;
  const denseZeros = data.nonzeros.dense === null ? null : 1 - data.nonzeros.dense / parameters.all;
  return [
    compare('Test accuracy', data.accuracy, percent, points(data.accuracy)),
    row([
      `Sparsity of the ${whole(parameters.prunable)} prunable weights`,
      ABSENT,
      percent(sparsity.prunable),
      `asked ${percent(sparsity.asked)}`,
    ]),
    row([`Sparsity of all ${whole(parameters.all)} parameters`, shown(denseZeros, percent), percent(sparsity.all), '']),
    compare('Nonzero parameters', data.nonzeros, whole, fewer(data.nonzeros)),
    compare('Multiply-accumulates a sample', data.macs, whole, fewer(data.macs)),
    compare('Bytes on disk', data.bytes, whole, fewer(data.bytes)),
    compare(`Milliseconds a batch of ${data.batchSize}`, data.msPerBatch, milliseconds, faster(data.msPerBatch)),
  ].join('\n');
}

function layerRow(layer: ReportLayer): string {
  const sparsity = layer.parameters > 0 ? 1 - layer.nonzeros / layer.parameters : 0;
  const bar = `<div class="bar"><div style="width:${(100 * sparsity).toFixed(2)}%"></div></div>`;
  const cells = [layer.shape.join(' × '), whole(layer.parameters), whole(layer.nonzeros)];
  const last = [
    shown(layer.macs.dense, count),
    shown(layer.macs.pruned, count),
    shown(layer.threshold, (threshold) => threshold.toPrecision(3)),
  ];
  const td = (cell: string): string => `<td>${escapeHtml(cell)}</td>`;
  return (
    `<tr><th scope="row">${escapeHtml(layer.name)}</th>${cells.map(td).join('')}` +
    `<td class="barcell">${bar}<span>${percent(sparsity)}</span></td>${last.map(td).join('')}</tr>`
  );
}

function options(histograms: readonly ReportHistogram[]): string {
  return histograms.map(({ name }, i) => `<option value="${i}">${escapeHtml(name)}</option>`).join('');
}

/** uPlot's own files, as its package ships them. */
function plotLibrary(): { script: string; style: string } {
  const require = createRequire(import.meta.url);
  const read = (file: string): string => fs.readFileSync(require.resolve(`uplot/dist/${file}`), 'utf8');
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') };
}

function chart(id: string, title: string): string {
  return `<section class="card"><h2>${escapeHtml(title)}</h2><div class="chart" id="${id}"></div></section>`;
}

/**
 * The report of a pruning run as one HTML page that opens from disk: plots, tables and the data itself (as JSON in the
 * element `report-data`) are inside, and its content security policy forbids any network access.
 */
export function renderHtmlReport(data: ReportData): string {
  const library = plotLibrary();
  const settings = Object.entries(data.settings).map(
    ([key, value]) => `<div><dt>${escapeHtml(key)}</dt><dd>${escapeHtml(String(value))}</dd></div>`,
  );
  const notes = data.notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(data.title)}</title>
<style>${library.style}</style>
<style>${REPORT_STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(data.title)}</h1>
<dl class="settings">${settings.join('')}</dl>
<div class="tiles">
${tiles(data)}
</div>
${notes === '' ? '' : `<ul class="notes">${notes}</ul>`}
<noscript><p class="notes">The plots need JavaScript; the tables below do not.</p></noscript>
<div class="grid">
${chart('loss', 'Loss')}
${chart('accuracy', 'Accuracy')}
${chart('sparsity', 'Sparsity')}
<section class="card"><h2>Weights before the final cut <select id="histogram-choice" aria-label="Layer">${options(data.histograms)}</select></h2>
<div class="chart" id="histogram"></div></section>
</div>
<section class="card"><h2>Summary</h2><div class="scroll"><table class="summary">
<thead><tr><th></th><th>Dense</th><th>Pruned</th><th>Change</th></tr></thead>
<tbody>
${summaryRows(data)}
</tbody></table></div></section>
<section class="card"><h2>Layers</h2><div class="scroll"><table class="layers">
<thead><tr><th>Layer</th><th>Shape</th><th>Weights</th><th>Nonzero</th><th class="barcell">Sparsity</th><th>MACs dense</th><th>MACs pruned</th><th>Threshold</th></tr></thead>
<tbody>
${data.layers.map(layerRow).join('\n')}
</tbody></table></div></section>
</main>
<script type="application/json" id="report-data">${embeddedJson(data)}</script>
<script>${library.script}</script>
<script>${REPORT_SCRIPT}</script>
</body>
</html>
`;
}
