// The project's files as the house rules see them.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import ts from 'typescript';
import { packageRoot } from '../../lib/core/native.js';

export const root = packageRoot();

/** Files under a folder of the project as paths from its root, sorted; those whose name ends in one of `endings`. */
export function filesIn(folder: string, endings: readonly string[]): string[] {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((e) => e.isFile() && endings.some((end) => e.name.endsWith(end)))
    .map((e) => relative(root, join(e.parentPath, e.name)))
    .sort();
}

export const read = (file: string): string => readFileSync(join(root, file), 'utf8');

/** A file of the project that another one imports. */
export interface Arrow {
  from: string;
  to: string;
  /** The import leaves nothing behind at run time. */
  typeOnly: boolean;
}

/** Imports and re-exports of a TypeScript file that lead to files of the project, dynamic imports included. */
export function importsOf(file: string): Arrow[] {
  const source = parse(file);
  const arrows: Arrow[] = [];
  const add = (specifier: ts.Expression | undefined, typeOnly: boolean): void => {
    if (specifier === undefined || !ts.isStringLiteral(specifier) || !specifier.text.startsWith('.')) return;
    arrows.push({ from: file, to: normalize(join(dirname(file), specifier.text)).replace(/\.js$/, '.ts'), typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return arrows;
}

function isTypeOnly(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const names = clause.namedBindings;
  return (
    clause.name === undefined &&
    names !== undefined &&
    ts.isNamedImports(names) &&
    names.elements.length > 0 &&
    names.elements.every((e) => e.isTypeOnly)
  );
}

/** Exported functions of a file and whether a docstring stands above each; of overloads the first one counts. */
export function exportedFunctions(file: string): { name: string; documented: boolean }[] {
  const found = new Map<string, boolean>();
  for (const node of parse(file).statements) {
    if (!ts.isFunctionDeclaration(node) || node.name === undefined) continue;
    if (node.modifiers?.some((m) => m.kind === ts.SyntaxKind.ExportKeyword) !== true) continue;
    if (!found.has(node.name.text)) found.set(node.name.text, ts.getJSDocCommentsAndTags(node).some(ts.isJSDoc));
  }
  return [...found].map(([name, documented]) => ({ name, documented }));
}

const parsed = new Map<string, ts.SourceFile>();
function parse(file: string): ts.SourceFile {
  let source = parsed.get(file);
  if (source === undefined) {
    source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022, true);
    parsed.set(file, source);
  }
  return source;
}

/** Files of the project that a C++ file includes; quoted paths start at the file or at native/src. */
export function includesOf(file: string): string[] {
  return [...read(file).matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map(([, path = '']) => {
    const near = normalize(join(dirname(file), path));
    const found = [near, join('native/cuda', path)].find((candidate) => existsSync(join(root, candidate)));
    const own = file.startsWith('native/cuda/') ? found : existsSync(join(root, near)) ? near : undefined;
    return own ?? join('native/src', path);
  });
}
