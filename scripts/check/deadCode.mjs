// Exports of lib/ and src/ that nobody imports and no entry of package.json leads to. What only tests use is dead too,
// unless a test cannot get at it otherwise: the few such names are listed below with their reason.
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');

const forTests = new Map([
  ['lib/core/random.ts uniforms', 'the tests draw their data from the generator of the library'],
  ['src/pdp/budget.ts erkDensities', 'compared with the golden files before widths are rounded'],
  ['lib/train/tfRecord.ts crc32c', 'checked against published values'],
  ['lib/train/tfRecord.ts maskedCrc32c', 'checked against published values'],
]);

const config = ts.getParsedCommandLineOfConfigFile(
  join(root, 'tsconfig.json'),
  {},
  {
    ...ts.sys,
    onUnRecoverableConfigFileDiagnostic: (d) => {
      throw new Error(String(d.messageText));
    },
  },
);
const program = ts.createProgram(config.fileNames, config.options);
const checker = program.getTypeChecker();
const own = program
  .getSourceFiles()
  .filter((f) => !f.isDeclarationFile && /^(lib|src|bench)\//.test(relative(root, f.fileName)));
const nameOf = (file) => relative(root, file.fileName);
const isIndex = (file) => file.fileName.endsWith('/index.ts');

/** The symbol itself, behind imports and re-exports. */
function origin(symbol) {
  return (symbol.flags & ts.SymbolFlags.Alias) !== 0 ? checker.getAliasedSymbol(symbol) : symbol;
}

const used = new Set();
// What the package's entries export; `export * as name` brings a whole module.
function publish(module) {
  for (const s of checker.getExportsOfModule(module)) {
    const target = origin(s);
    used.add(target);
    if ((target.flags & ts.SymbolFlags.ValueModule) !== 0) publish(target);
  }
}
const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = [...Object.values(exports).flatMap((entry) => entry.default ?? []), ...Object.values(bin)].map((path) =>
  join(root, path.replace(/^\.\/dist\/bundle\//, '').replace(/\.js$/, '.ts')),
);
for (const entry of entries) {
  const file = program.getSourceFile(entry);
  const symbol = file && checker.getSymbolAtLocation(file);
  if (symbol !== undefined) publish(symbol);
}

// What another file names. An index file's re-exports count only when the index is a public entry (above).
for (const file of own) {
  if (isIndex(file)) continue;
  const visit = (node) => {
    if (ts.isIdentifier(node) && !ts.isImportSpecifier(node.parent)) {
      const symbol = ts.isShorthandPropertyAssignment(node.parent)
        ? checker.getShorthandAssignmentValueSymbol(node.parent)
        : checker.getSymbolAtLocation(node);
      const target = symbol && origin(symbol);
      if (target?.declarations?.some((d) => d.getSourceFile() !== file)) used.add(target);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
}
// Ops are found by their folder: everything that ends in Op is run by the tests, the bench and the generator.
const isOp = (file, name) => nameOf(file).startsWith('lib/ops/') && name.endsWith('Op');

/** Types in the signature of something public are public too: callers need their names. */
function namedBySignature(file) {
  const names = new Set();
  const visit = (node) => {
    if (ts.isTypeReferenceNode(node) || ts.isExpressionWithTypeArguments(node)) {
      const at = ts.isTypeReferenceNode(node) ? node.typeName : node.expression;
      const symbol = checker.getSymbolAtLocation(at);
      if (symbol !== undefined) names.add(origin(symbol));
    }
    ts.forEachChild(node, visit);
  };
  for (const statement of file.statements)
    if (
      ts.canHaveModifiers(statement) &&
      ts.getModifiers(statement)?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword)
    )
      visit(statement);
  return names;
}

let exported = 0;
const dead = [];
const excused = new Set();
for (const file of own) {
  if (isIndex(file) || nameOf(file).startsWith('bench/') || entries.includes(file.fileName)) continue;
  const symbol = checker.getSymbolAtLocation(file);
  if (symbol === undefined) continue;
  const inSignatures = namedBySignature(file);
  for (const s of checker.getExportsOfModule(symbol)) {
    const target = origin(s);
    if (target.declarations?.[0]?.getSourceFile() !== file) continue;
    exported++;
    const isType = (target.flags & ts.SymbolFlags.Value) === 0;
    if (used.has(target) || isOp(file, s.name) || (isType && inSignatures.has(target))) continue;
    const key = `${nameOf(file)} ${s.name}`;
    if (forTests.has(key)) excused.add(key);
    else dead.push(key);
  }
}
for (const key of dead) console.log(`nobody uses ${key.replace(' ', ': ')}`);
const stale = [...forTests.keys()].filter((key) => !excused.has(key));
for (const key of stale) console.log(`no longer needs its exception: ${key}`);
console.log(`${exported} exports, ${dead.length} unused`);
if (exported === 0) throw new Error('found no exports at all');
process.exitCode = dead.length + stale.length > 0 ? 1 : 0;
