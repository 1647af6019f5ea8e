/**
 * The report page's script: draws the plots of the embedded ReportData with uPlot, again whenever the colour scheme
 * changes, and keeps them as wide as their cards. Plain browser JavaScript; it uses no backslash and no backtick, so
 * that what is read here is what runs there.
 */
export const REPORT_SCRIPT = `
'use strict';
(function () {
  const data = JSON.parse(document.getElementById('report-data').textContent);
  const HEIGHT = 270;
  let plots = [];

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }
  function axes(yLabels) {
    const common = { stroke: colour('--muted'), grid: { stroke: colour('--grid'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 } };
    return [
      Object.assign({}, common),
      Object.assign({ size: 58 }, common, yLabels ? { values: function (u, ticks) { return ticks.map(yLabels); } } : {}),
    ];
  }
  function line(label, stroke, format, points) {
    return {
      label: label, stroke: stroke, width: 1.75, spanGaps: true, points: { show: points },
      value: function (u, value) { return value == null ? '–' : format(value); },
    };
  }
  // Vertical lines: phases over the curves, thresholds over the histogram ('left' says on which side their text goes).
  // Their texts start at the fraction 'from' of the height, where no curve is expected.
  function marks(list, from) {
    return function (u) {
      const ctx = u.ctx;
      const ratio = devicePixelRatio;
      ctx.save();
      ctx.strokeStyle = ctx.fillStyle = colour('--second');
      ctx.lineWidth = ratio;
      ctx.textAlign = 'left';
      ctx.textBaseline = 'alphabetic';
      ctx.font = 11.5 * ratio + 'px system-ui, sans-serif';
      list.forEach(function (mark, i) {
        const x = Math.round(u.valToPos(mark.at, 'x', true));
        if (!(x >= u.bbox.left && x <= u.bbox.left + u.bbox.width)) return;
        ctx.setLineDash([5 * ratio, 4 * ratio]);
        ctx.beginPath();
        ctx.moveTo(x, u.bbox.top);
        ctx.lineTo(x, u.bbox.top + u.bbox.height);
        ctx.stroke();
        const width = ctx.measureText(mark.text).width;
        const right = !mark.left && x + width + 5 * ratio < u.bbox.left + u.bbox.width;
        const line = mark.left === undefined ? i % 3 : 0; // phases may be close together
        ctx.fillText(mark.text, right ? x + 5 * ratio : x - width - 5 * ratio, u.bbox.top + from * u.bbox.height + (12 + 14 * line) * ratio);
      });
      ctx.restore();
    };
  }
  function place(id, options, columns) {
    const holder = document.getElementById(id);
    holder.textContent = '';
    const some = columns.slice(1).some(function (column) { return column.some(function (value) { return value != null; }); });
    if (!some) {
      const text = document.createElement('p');
      text.textContent = 'not recorded';
      holder.append(text);
      return;
    }
    const plot = new uPlot(Object.assign({ width: holder.clientWidth, height: HEIGHT }, options), columns, holder);
    plots.push({ plot: plot, holder: holder });
  }

  const steps = { time: false };
  const phases = data.phases.map(function (phase) { return { at: phase.step, text: phase.name }; });
  function percent(value) { return (100 * value).toFixed(2) + ' %'; }
  function percentTick(value) { return +(100 * value).toFixed(4) + ' %'; }
  // A series with few values (an evaluation an epoch) shows its points.
  function few(values) { return values.filter(function (value) { return value != null; }).length <= 60; }

  function curve(id, series, from, yLabels, range) {
    const columns = [data.curves.steps].concat(series.map(function (one) { return one.values; }));
    place(id, {
      scales: { x: steps, y: range ? { range: range } : {} },
      axes: axes(yLabels),
      series: [{ label: 'step' }].concat(series.map(function (one) { return line(one.label, colour(one.stroke), one.format, few(one.values)); })),
      cursor: { sync: { key: 'steps' } },
      hooks: { draw: [marks(phases, from)] },
    }, columns);
  }
  function histogram() {
    const chosen = data.histograms[Number(document.getElementById('histogram-choice').value) || 0];
    if (!chosen) { place('histogram', {}, [[], []]); return; }
    const centres = chosen.counts.map(function (_, i) { return (chosen.edges[i] + chosen.edges[i + 1]) / 2; });
    // A bin that the threshold cuts through is coloured by its centre.
    const cut = function (i) { return chosen.threshold !== null && Math.abs(centres[i]) < chosen.threshold; };
    const below = chosen.counts.map(function (n, i) { return cut(i) ? n : null; });
    const above = chosen.counts.map(function (n, i) { return cut(i) ? null : n; });
    const bars = uPlot.paths.bars({ size: [0.92, 60] });
    function bar(label, fill) {
      return { label: label, stroke: fill, fill: fill, width: 0, paths: bars, points: { show: false },
        value: function (u, value) { return value == null ? '–' : value.toLocaleString('en-US'); } };
    }
    const first = chosen.edges[0];
    const last = chosen.edges[chosen.edges.length - 1];
    const t = chosen.threshold;
    place('histogram', {
      scales: { x: { time: false, range: first < last ? [first, last] : [first - 1, last + 1] }, y: { range: function (u, low, high) { return [0, (high || 1) * 1.12]; } } },
      axes: axes(function (value) { return value.toLocaleString('en-US', { notation: 'compact' }); }),
      series: [{ label: 'weight', value: function (u, value) { return value == null ? '–' : value.toPrecision(3); } },
        bar('cut', colour('--faded')), bar('kept', colour('--first'))],
      hooks: { draw: [marks(t === null ? [] : [{ at: -t, text: '−' + t.toPrecision(3), left: true }, { at: t, text: t.toPrecision(3), left: false }], 0)] },
    }, [centres, below, above]);
  }
  function unit(u, low, high) { return [0, 1]; }
  function draw() {
    plots.forEach(function (entry) { entry.plot.destroy(); });
    plots = [];
    const c = data.curves;
    curve('loss', [{ label: 'loss', values: c.loss, stroke: '--first', format: function (value) { return value.toFixed(4); } }], 0);
    curve('accuracy', [
      { label: 'train', values: c.trainAccuracy, stroke: '--faded', format: percent },
      { label: 'test', values: c.testAccuracy, stroke: '--first', format: percent },
    ], 0.55, percentTick);
    curve('sparsity', [{ label: 'sparsity', values: c.sparsity, stroke: '--first', format: percent }], 0, percentTick, unit);
    histogram();
  }

  draw();
  document.getElementById('histogram-choice').addEventListener('change', draw);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
  addEventListener('resize', function () {
    plots.forEach(function (entry) { entry.plot.setSize({ width: entry.holder.clientWidth, height: HEIGHT }); });
  });
})();
`;
