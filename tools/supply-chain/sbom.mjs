/**
 * Writes dist/keyturn.cdx.json: what Keyturn ships of others, in CycloneDX 1.5, from the lock file alone. The same lock file
 * gives the same bytes.
 * Usage: npm run sbom
 *
 * Not by `npm sbom`: with `--omit=dev` it also leaves out production packages that a peer dependency names (pg, rxjs), and
 * of two packages with one name in different scopes (ajv, @redocly/ajv) it names one.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const lockText = readFileSync(path.join(root, 'package-lock.json'), 'utf8');
const { name, version, packages } = JSON.parse(lockText);

const nameOf = (folder) => folder.slice(folder.lastIndexOf('node_modules/') + 'node_modules/'.length);
const isShipped = ({ dev, devOptional, optional }) => !dev && !devOptional && !optional;
const purlOf = (folder) => `pkg:npm/${nameOf(folder).replace('@', '%40')}@${packages[folder].version}`;

/** Where Node finds a dependency: beside its user, then in every folder above. */
function resolve(holder, dependency) {
  for (let folder = holder; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
    const found = folder === '' ? `node_modules/${dependency}` : `${folder}/node_modules/${dependency}`;
    if (packages[found]) return found;
    if (folder === '') return undefined;
  }
}

const components = new Map();
const dependencies = new Map();
for (const [folder, entry] of Object.entries(packages)) {
  if (folder !== '' && !isShipped(entry)) continue;
  const ref = folder === '' ? `${name}@${version}` : purlOf(folder);
  const wanted = Object.keys({ ...entry.dependencies, ...entry.peerDependencies });
  const used = wanted
    .map((dependency) => resolve(folder, dependency))
    .filter((found) => found && isShipped(packages[found]));
  dependencies.set(ref, [...new Set([...(dependencies.get(ref) ?? []), ...used.map(purlOf)])].sort());
  if (folder === '') continue;
  const [algorithm, digest] = entry.integrity.split('-');
  components.set(ref, {
    type: 'library',
    'bom-ref': ref,
    name: nameOf(folder),
    version: entry.version,
    purl: ref,
    licenses: [/[ (]/.test(entry.license) ? { expression: entry.license } : { license: { id: entry.license } }],
    hashes: [{ alg: algorithm.replace('sha', 'SHA-'), content: Buffer.from(digest, 'base64').toString('hex') }],
  });
}

const digest = createHash('sha256').update(lockText).digest('hex');
const serial = [8, 4, 4, 4, 12].map((length, index, lengths) => {
  const start = lengths.slice(0, index).reduce((sum, part) => sum + part, 0);
  return digest.slice(start, start + length);
});
const sbom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.5',
  serialNumber: `urn:uuid:${serial.join('-')}`,
  version: 1,
  metadata: { component: { type: 'application', 'bom-ref': `${name}@${version}`, name, version } },
  components: [...components.values()],
  dependencies: [...dependencies].map(([ref, dependsOn]) => ({ ref, dependsOn })),
};
mkdirSync(path.join(root, 'dist'), { recursive: true });
writeFileSync(path.join(root, 'dist/keyturn.cdx.json'), `${JSON.stringify(sbom, undefined, 2)}\n`);
console.log(`dist/keyturn.cdx.json: ${components.size} packages`);
