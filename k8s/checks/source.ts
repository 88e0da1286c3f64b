import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { k8sFolder } from './overlays';

const root = path.resolve(k8sFolder, '..');

/** The text of every TypeScript file of the programs and libraries, tests left out. */
function sources(): string[] {
  return ['apps', 'libs', 'tools'].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts') && !file.includes('node_modules'))
      .map((file) => readFileSync(path.join(root, folder, file), 'utf8')),
  );
}

/** Settings that the code reads, and whether each is a secret (and so may come from a file). */
export function settingsInCode(): Map<string, 'secret' | 'open'> {
  const found = new Map<string, 'secret' | 'open'>();
  for (const text of sources())
    for (const [, kind, name] of text.matchAll(/\bsetting\s*\.(\w+)(?:<[^>]*>)?\(\s*'([A-Z][A-Z0-9_]*)'/g))
      found.set(
        name as string,
        /^(secret|secrets|optionalSecret|url|optionalUrl|databaseUrl|optionalDatabaseUrl)$/.test(kind as string)
          ? 'secret'
          : 'open',
      );
  return found;
}

export interface MetricInCode {
  readonly kind: 'counter' | 'gauge' | 'histogram';
  readonly labels: readonly string[];
  /** Borders of a histogram. */
  readonly buckets: readonly number[];
}

const text = `'(?:[^'\\\\]|\\\\.)*'`;
const madeMetric = new RegExp(
  String.raw`\b\w*[mM]etrics\s*\.(counter|gauge|histogram)\(\s*'([a-z0-9_]+)',\s*${text},\s*\[([^\]]*)\](?:,\s*(\[[^\]]*\]|\w+))?`,
  'g',
);

/** Metrics that the code makes, with their labels and borders. */
export function metricsInCode(): Map<string, MetricInCode> {
  const found = new Map<string, MetricInCode>();
  for (const source of sources())
    for (const [, kind, name, labels, last = ''] of source.matchAll(madeMetric)) {
      // Borders stand in the call or, where several share them, under a name in the same file.
      const borders = last.startsWith('[') ? last : new RegExp(`const ${last} = (\\[[^\\]]*\\])`).exec(source)?.[1];
      found.set(name as string, {
        kind: kind as MetricInCode['kind'],
        labels: [...(labels as string).matchAll(/'([^']+)'/g)].map(([, label]) => label as string),
        buckets:
          kind === 'histogram'
            ? [...(borders ?? '').matchAll(/[\d._]+/g)].map(([n]) => Number(n.replaceAll('_', '')))
            : [],
      });
    }
  return found;
}
