export { type BudgetLayer, erkBudget, globalMagnitude, tableBudget, uniformBudget } from './budget.js';
export { type ReportData, renderHtmlReport } from './htmlReport.js';
export { PDP, type PdpOptions } from './methods/pdp.js';
export { type LayerReport, type SparsityReport, sparsityReport } from './report.js';
export { count, linearRamp, type LinearRamp } from './schedule.js';
