import * as vm from 'node:vm';
import t from 'tap';
import { renderHtmlReport, type ReportData } from '../../src/pdp/htmlReport.js';

const hostile = `</script><script>alert("1")</script><!-- '&\u2028`;
const data: ReportData = {
  title: `Title ${hostile}`,
  settings: { [`key ${hostile}`]: `value ${hostile}`, seed: 7, full: false },
  accuracy: { dense: 0.91, pruned: 0.9055 },
  sparsity: { asked: 0.9, prunable: 0.9, all: 0.875 },
  parameters: { prunable: 1000, all: 1600 },
  nonzeros: { dense: 1600, pruned: 200 },
  macs: { dense: 2_500_000, pruned: 250_000 },
  bytes: { dense: 6400, pruned: 1600 },
  msPerBatch: { dense: 20, pruned: 25 },
  batchSize: 32,
  notes: [`note ${hostile}`],
  curves: { steps: [1, 2], loss: [2.3, NaN], trainAccuracy: [0.1, 0.2], testAccuracy: [null, 0.2], sparsity: [0, 0.9] },
  phases: [{ name: `phase ${hostile}`, step: 1 }],
  layers: [
    {
      name: `layer ${hostile}`,
      shape: [4, 3, 3, 8],
      parameters: 288,
      nonzeros: 72,
      macs: { dense: 1e6, pruned: null },
      threshold: 0.012345,
    },
  ],
  histograms: [{ name: `layer ${hostile}`, edges: [-1, 0, 1], counts: [3, 4], threshold: 0.5 }],
};

/** The texts of the page's script elements, found as a browser does: up to the first end tag. */
function scriptsOf(page: string): { attributes: string; text: string }[] {
  return [...page.matchAll(/<script([^>]*)>([^]*?)<\/script/gi)].map(([, attributes = '', text = '']) => ({
    attributes,
    text,
  }));
}

t.test('is one file without a link to anywhere', async (t) => {
  const page = renderHtmlReport(data);
  t.match(
    page,
    /Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"/,
  );
  t.notMatch(page, /<link|<img|<iframe|\ssrc=|\shref=|@import|url\(/i);
  const scripts = scriptsOf(page);
  t.equal(scripts.length, 3, 'data, uPlot, drawing');
  t.match(scripts[1]?.text, /uPlot/);
  const context = vm.createContext({
    navigator: {},
    devicePixelRatio: 1,
    matchMedia: () => ({ addEventListener() {} }),
  });
  t.equal(vm.runInContext(`${scripts[1]?.text}; typeof uPlot`, context), 'function');
  t.doesNotThrow(() => new vm.Script(scripts[2]?.text ?? '('));
  t.match(page, '.u-legend', "uPlot's style");
});

t.test('draws every series', async (t) => {
  const page = renderHtmlReport(data);
  // A page of stubs: what is asked of uPlot is what matters here.
  const plots: { columns: unknown[][]; labels: string[]; holder: { id: string } }[] = [];
  const listeners: Record<string, () => void> = {};
  const elements = new Map<string, Record<string, unknown>>();
  const element = (id: string): Record<string, unknown> => {
    const made = elements.get(id) ?? {
      id,
      value: '0',
      clientWidth: 500,
      textContent: '',
      append() {},
      addEventListener: (event: string, call: () => void) => (listeners[`${id} ${event}`] = call),
    };
    elements.set(id, made);
    return made;
  };
  element('report-data')['textContent'] = scriptsOf(page)[0]?.text;
  class Plot {
    static paths = { bars: () => () => null };
    constructor(options: { series: { label: string }[] }, columns: unknown[][], holder: { id: string }) {
      plots.push({ columns, labels: options.series.map((one) => one.label), holder });
    }
    destroy(): void {}
  }
  vm.runInNewContext(scriptsOf(page)[2]?.text ?? '', {
    uPlot: Plot,
    document: { getElementById: element, documentElement: {}, createElement: () => ({}) },
    getComputedStyle: () => ({ getPropertyValue: () => ' #123456' }),
    matchMedia: () => ({
      addEventListener: (event: string, call: () => void) => (listeners[`scheme ${event}`] = call),
    }),
    addEventListener: (event: string, call: () => void) => (listeners[event] = call),
    devicePixelRatio: 1,
  });
  const drawn = (): unknown =>
    JSON.parse(JSON.stringify(plots.map(({ columns, labels, holder }) => [holder.id, labels, columns])));
  const expected = [
    [
      'loss',
      ['step', 'loss'],
      [
        [1, 2],
        [2.3, null],
      ],
    ],
    [
      'accuracy',
      ['step', 'train', 'test'],
      [
        [1, 2],
        [0.1, 0.2],
        [null, 0.2],
      ],
    ],
    [
      'sparsity',
      ['step', 'sparsity'],
      [
        [1, 2],
        [0, 0.9],
      ],
    ],
    [
      'histogram',
      ['weight', 'cut', 'kept'],
      [
        [-0.5, 0.5],
        [null, null],
        [3, 4],
      ],
    ],
  ];
  t.strictSame(drawn(), expected);
  listeners['scheme change']?.();
  t.strictSame(drawn(), [...expected, ...expected], 'redrawn in the other colours');
  t.ok(listeners['resize']);
});

t.test('escapes every string', async (t) => {
  const page = renderHtmlReport(data);
  const embedded = JSON.parse(scriptsOf(page)[0]?.text ?? '') as ReportData;
  t.strictSame(embedded, JSON.parse(JSON.stringify(data)), 'the data is in the page, whole');
  const html = page.slice(0, page.indexOf('<script type="application/json"'));
  t.notMatch(html, /<script|<!--/);
  const escaped = '&lt;/script&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&lt;!-- &#39;&amp;';
  for (const word of ['Title', 'key', 'value', 'note', 'layer']) t.ok(html.includes(`${word} ${escaped}`), word);
  t.equal(html.split(escaped).length - 1, 7, 'title and heading, key, value, note, layer, choice');
});

t.test('says the figures', async (t) => {
  const text = (page: string): string[] =>
    page
      .slice(0, page.indexOf('<script'))
      .replace(/<style>[^]*?<\/style>/g, '')
      .split(/<[^>]*>/)
      .map((part) => part.trim())
      .filter((part) => part !== '');
  const parts = text(renderHtmlReport(data));
  const after = (label: string, n: number): string[] => parts.slice(parts.lastIndexOf(label) + 1).slice(0, n);
  t.strictSame(after('Test accuracy', 3), ['91.00 %', '90.55 %', '−0.45 points']);
  t.strictSame(after('Sparsity of the 1,000 prunable weights', 3), ['–', '90.00 %', 'asked 90.00 %']);
  t.strictSame(after('Sparsity of all 1,600 parameters', 2), ['0.00 %', '87.50 %']);
  t.strictSame(after('Nonzero parameters', 3), ['1,600', '200', '8.00× less']);
  t.strictSame(after('Multiply-accumulates a sample', 3), ['2,500,000', '250,000', '10.00× less']);
  t.strictSame(after('Bytes on disk', 3), ['6,400', '1,600', '4.00× less']);
  t.strictSame(after('Milliseconds a batch of 32', 3), ['20.0 ms', '25.0 ms', '1.25× slower']);
  t.strictSame(after('Threshold', 8).slice(1), ['4 × 3 × 3 × 8', '288', '72', '75.00 %', '1.00 M', '–', '0.0123']);
  t.ok(parts.includes('of 1.60 k parameters, 8.00× less'));

  const unmeasured = { dense: null, pruned: null };
  const bare = text(
    renderHtmlReport({
      ...data,
      accuracy: unmeasured,
      msPerBatch: { dense: 20, pruned: 20.01 },
      layers: [],
      histograms: [],
      notes: [],
    }),
  );
  t.strictSame(bare.slice(bare.lastIndexOf('Test accuracy') + 1).slice(0, 3), ['–', '–', '–']);
  t.ok(bare.includes('no change'));
});
