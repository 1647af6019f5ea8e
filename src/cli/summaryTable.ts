import type { ReportData } from '../pdp/htmlReport.js';

const percent = (x: number | null): string => (x === null ? '-' : `${(x * 100).toFixed(2)} %`);
const figure = (x: number | null): string => (x === null ? '-' : Math.round(x).toLocaleString('en'));

/** Rows with their columns aligned, the first to the left and the others to the right. */
function align(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, c) => Math.max(...rows.map((r) => (r[c] ?? '').length)));
  return rows.map((r) =>
    r.map((cell, c) => (c === 0 ? cell.padEnd(widths[c] as number) : cell.padStart(widths[c] as number))).join('  '),
  );
}

/** The figures of a run as text: what was asked, what came of it, layer by layer. */
export function summaryTable(data: ReportData): string {
  const ms = (x: number | null): string => (x === null ? '-' : x.toFixed(2));
  const main = align([
    ['', 'dense', 'pruned'],
    ['test accuracy', percent(data.accuracy.dense), percent(data.accuracy.pruned)],
    ['sparsity of prunable weights', '', percent(data.sparsity.prunable)],
    ['  asked', '', percent(data.sparsity.asked)],
    ['sparsity of all parameters', '', percent(data.sparsity.all)],
    ['nonzero parameters', figure(data.nonzeros.dense), figure(data.nonzeros.pruned)],
    ['MACs an image', figure(data.macs.dense), figure(data.macs.pruned)],
    ['bytes on disk', figure(data.bytes.dense), figure(data.bytes.pruned)],
    [`ms a batch of ${data.batchSize}`, ms(data.msPerBatch.dense), ms(data.msPerBatch.pruned)],
  ]);
  const layers = align([
    ['layer', 'weights', 'nonzeros', 'sparsity'],
    ...data.layers.map((l) => [
      l.name,
      figure(l.parameters),
      figure(l.nonzeros),
      percent(1 - l.nonzeros / l.parameters),
    ]),
  ]);
  return ['', data.title, '', ...main, '', ...layers, '', ...data.notes.map((n) => `note: ${n}`)].join('\n');
}
