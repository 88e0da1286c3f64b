import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** A test as its file names it. */
export interface NamedTest {
  /** Relative to the workspace, with `/`. */
  readonly file: string;
  readonly name: string;
  /** Rows of the contract that the name carries, each by itself: a range names only its ends. */
  readonly rows: readonly string[];
}

const folders = ['apps', 'libs', 'k8s', 'docker', 'tools'];

/** Every `it(…)` and `it.each(…)(…)` of the workspace's specs. */
export function everyTest(root: string): NamedTest[] {
  return specFiles(root).flatMap((file) => testsIn(file, readFileSync(path.join(root, file), 'utf8')));
}

/** Those whose name carries a row of the contract. */
export function testsWithRows(root: string): NamedTest[] {
  return everyTest(root).filter(({ rows }) => rows.length > 0);
}

function specFiles(root: string): string[] {
  return folders
    .flatMap((folder) => {
      try {
        return readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
          path.join(folder, name),
        );
      } catch {
        return [];
      }
    })
    .filter((name) => name.endsWith('.spec.ts') && !name.includes('node_modules'))
    .map((name) => name.split(path.sep).join('/'))
    .sort();
}

export function testsIn(file: string, source: string): NamedTest[] {
  const found: NamedTest[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isCallExpression(node) && isTest(node.expression)) {
      const name = node.arguments[0] && textOf(node.arguments[0]);
      const rows = [...new Set(name?.match(/\bT-\d{3}\b/g) ?? [])];
      if (name) found.push({ file, name, rows });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true));
  return found;
}

/** `it`, `test`, or what `it.each(…)` and it.each`…` return. A test that is skipped is none. */
function isTest(callee: ts.Expression): boolean {
  if (ts.isIdentifier(callee)) return callee.text === 'it' || callee.text === 'test';
  const inner = ts.isCallExpression(callee)
    ? callee.expression
    : ts.isTaggedTemplateExpression(callee)
      ? callee.tag
      : undefined;
  return (
    inner !== undefined &&
    ts.isPropertyAccessExpression(inner) &&
    inner.name.text === 'each' &&
    ts.isIdentifier(inner.expression) &&
    isTest(inner.expression)
  );
}

/** A name as it is written; what is filled in later stands as `…`. */
function textOf(argument: ts.Expression): string | undefined {
  if (ts.isStringLiteralLike(argument)) return argument.text;
  if (ts.isTemplateExpression(argument))
    return argument.head.text + argument.templateSpans.map(({ literal }) => `…${literal.text}`).join('');
  return undefined;
}
