import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { fieldsOf, isFields, listOf, type Fields, type Manifest } from './manifest';

/**
 * Builds an overlay without kubectl, so that the checks run on any machine. It knows exactly what our kustomizations use
 * and refuses everything else; where kubectl is present, a test compares the two builds object by object.
 */
export function buildOverlay(folder: string): Manifest[] {
  const built = build(folder);
  addHashes(built);
  return built.map(({ object }) => object);
}

interface Built {
  readonly object: Manifest;
  /** Made by a generator and named by its content in the end, so that a change of settings rolls the pods. */
  hashed: boolean;
}

const known = ['apiVersion', 'kind', 'namespace', 'labels', 'resources', 'configMapGenerator', 'patches', 'images'];

function build(folder: string): Built[] {
  const file = path.join(folder, 'kustomization.yaml');
  const kustomization = fieldsOf(parse(readFileSync(file, 'utf8')));
  refuseUnknown(kustomization, known, file);
  const built = (kustomization.resources as string[]).flatMap((resource) => load(path.join(folder, resource)));
  for (const generator of listOf(kustomization.configMapGenerator)) generate(folder, generator, built);
  for (const patch of listOf(kustomization.patches)) applyPatch(folder, patch, built);
  for (const { object } of built) {
    if (typeof kustomization.namespace === 'string' && object.kind !== 'Namespace')
      object.metadata.namespace = kustomization.namespace;
    for (const labels of listOf(kustomization.labels)) label(object, labels);
    setImages(object, listOf(kustomization.images));
  }
  return built;
}

function load(resource: string): Built[] {
  if (statSync(resource).isDirectory()) return build(resource);
  return parseAllDocuments(readFileSync(resource, 'utf8')).map((document) => {
    if (document.errors.length) throw new Error(`${resource}: ${document.errors.join('; ')}`);
    return { object: document.toJS() as Manifest, hashed: false };
  });
}

function generate(folder: string, generator: Fields, built: Built[]): void {
  refuseUnknown(generator, ['name', 'behavior', 'envs', 'files', 'literals', 'options'], 'configMapGenerator');
  const { name } = generator as { name: string };
  const options = fieldsOf(generator.options);
  refuseUnknown(options, ['disableNameSuffixHash', 'labels', 'annotations'], `configMapGenerator ${name}`);
  const data: Record<string, string> = {};
  const set = (line: string) => {
    const equals = line.indexOf('=');
    data[line.slice(0, equals)] = line.slice(equals + 1);
  };
  for (const env of (generator.envs ?? []) as string[])
    for (const line of readFileSync(path.join(folder, env), 'utf8').split('\n'))
      if (line.trim() !== '' && !line.startsWith('#')) set(line);
  for (const entry of (generator.files ?? []) as string[]) {
    const [key, file] = entry.includes('=') ? (entry.split('=') as [string, string]) : [path.basename(entry), entry];
    data[key] = readFileSync(path.join(folder, file), 'utf8');
  }
  for (const literal of (generator.literals ?? []) as string[]) set(literal);

  const before = built.find(({ object }) => object.kind === 'ConfigMap' && object.metadata.name === name);
  if (generator.behavior === 'merge') {
    if (!before) throw new Error(`configMapGenerator ${name}: there is nothing to merge with`);
    before.object.data = { ...fieldsOf(before.object.data), ...data };
    return;
  }
  if (before) throw new Error(`configMapGenerator ${name}: it is there already`);
  const metadata: Manifest['metadata'] = { name };
  if (options.labels) metadata.labels = options.labels as Record<string, string>;
  if (options.annotations) metadata.annotations = options.annotations as Record<string, string>;
  built.push({
    object: { apiVersion: 'v1', kind: 'ConfigMap', metadata, data },
    hashed: options.disableNameSuffixHash !== true,
  });
}

interface Operation {
  op: 'add' | 'replace' | 'remove';
  path: string;
  value?: unknown;
}

function applyPatch(folder: string, patch: Fields, built: Built[]): void {
  refuseUnknown(patch, ['target', 'patch', 'path'], 'patches');
  const target = fieldsOf(patch.target);
  refuseUnknown(target, ['kind', 'name'], 'patches.target');
  const text = typeof patch.path === 'string' ? readFileSync(path.join(folder, patch.path), 'utf8') : patch.patch;
  const operations = parse(String(text)) as Operation[];
  if (!Array.isArray(operations)) throw new Error('only patches that list operations (RFC 6902) are known');
  const fits = (pattern: unknown, value: string) =>
    pattern === undefined || new RegExp(`^${String(pattern)}$`).test(value);
  const objects = built.filter(
    ({ object }) => fits(target.kind, object.kind) && fits(target.name, object.metadata.name),
  );
  if (!objects.length) throw new Error(`no object fits the patch's target ${JSON.stringify(target)}`);
  for (const { object } of objects)
    for (const operation of operations) operate(object, { ...operation, value: structuredClone(operation.value) });
}

function operate(object: unknown, { op, path: pointer, value }: Operation): void {
  const steps = pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = steps.pop() as string;
  const holder = steps.reduce<unknown>((inside, step) => (inside as Fields | undefined)?.[step], object);
  if (Array.isArray(holder)) {
    const index = last === '-' ? holder.length : Number(last);
    if (op === 'add') holder.splice(index, 0, value);
    else if (index >= holder.length) throw new Error(`${pointer} is not there`);
    else if (op === 'replace') holder[index] = value;
    else holder.splice(index, 1);
  } else if (isFields(holder)) {
    if (op !== 'add' && !(last in holder)) throw new Error(`${pointer} is not there`);
    if (op === 'remove') delete holder[last];
    else holder[last] = value;
  } else throw new Error(`${pointer} is not there`);
}

function label(object: Manifest, labels: Fields): void {
  refuseUnknown(labels, ['pairs', 'includeTemplates'], 'labels');
  const pairs = labels.pairs as Record<string, string>;
  object.metadata.labels = { ...object.metadata.labels, ...pairs };
  if (labels.includeTemplates !== true) return;
  for (const template of templatesOf(object)) {
    const metadata = (template.metadata ??= {}) as Fields;
    metadata.labels = { ...fieldsOf(metadata.labels), ...pairs };
  }
}

/** Everything that a workload makes others from. */
function templatesOf(object: Manifest): Fields[] {
  const spec = fieldsOf(object.spec);
  switch (object.kind) {
    case 'Deployment':
    case 'Job':
      return [fieldsOf(spec.template)];
    case 'StatefulSet':
      return [fieldsOf(spec.template), ...listOf(spec.volumeClaimTemplates)];
    case 'CronJob': {
      const job = fieldsOf(spec.jobTemplate);
      return [job, fieldsOf(fieldsOf(job.spec).template)];
    }
    default:
      return [];
  }
}

function setImages(object: Manifest, images: Fields[]): void {
  for (const image of images) refuseUnknown(image, ['name', 'newName', 'newTag', 'digest'], 'images');
  for (const template of templatesOf(object))
    for (const container of listOf(fieldsOf(template.spec).containers)) {
      const image = images.find(({ name }) => name === container.image);
      if (!image) continue;
      const name = String(image.newName ?? image.name);
      container.image = image.digest ? `${name}@${String(image.digest)}` : `${name}:${String(image.newTag)}`;
    }
}

/** Kustomize's own suffix: ten characters of a SHA-256 over the content (its name left empty), spelled without vowels. */
function addHashes(built: Built[]): void {
  for (const entry of built.filter(({ hashed }) => hashed)) {
    const { object } = entry;
    const { name } = object.metadata;
    const content = { data: sorted(fieldsOf(object.data)), kind: 'ConfigMap', name: '' };
    const text = JSON.stringify(content).replace(/[<>&]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
    const digits: Record<string, string> = { 0: 'g', 1: 'h', 3: 'k', a: 'm', e: 't' };
    const hash = createHash('sha256').update(text).digest('hex').slice(0, 10);
    object.metadata.name = `${name}-${[...hash].map((digit) => digits[digit] ?? digit).join('')}`;
    for (const other of built) rename(other.object, name, object.metadata.name);
  }
}

const sorted = (data: Fields) => Object.fromEntries(Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1)));

/** Wherever a pod names a ConfigMap. */
function rename(value: unknown, from: string, to: string): void {
  if (Array.isArray(value)) for (const item of value) rename(item, from, to);
  if (!isFields(value)) return;
  for (const [field, inside] of Object.entries(value)) {
    const names = ['configMap', 'configMapRef', 'configMapKeyRef'].includes(field) && isFields(inside);
    if (names && inside.name === from) inside.name = to;
    rename(inside, from, to);
  }
}

function refuseUnknown(fields: Fields, names: readonly string[], where: string): void {
  for (const field of Object.keys(fields))
    if (!names.includes(field)) throw new Error(`${where}: this build does not know "${field}"`);
}
