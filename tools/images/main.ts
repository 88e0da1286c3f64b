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
import { Buildah, type Container } from './container';

/**
 * The images, run for real (see build.sh): looked at, migrated with, started, asked, stopped. Prints one line of JSON for
 * each image and one for the run.
 */
const limitBytes = 40 * 1024 * 1024;
const user = '10001:10001';

const [work, ...apps] = process.argv.slice(2);
if (!work || !apps.length) throw new Error('usage: images <work folder> <app> …');

const buildah = new Buildah(work);
const folder = mkdtempSync(path.join(tmpdir(), 'keyturn-images-'));
chmodSync(folder, 0o755);
const stops: (() => Promise<unknown> | unknown)[] = [() => rmSync(folder, { recursive: true, force: true })];

function demand(what: string, holds: boolean, shown?: unknown): void {
  if (!holds) throw new Error(`${what}${shown === undefined ? '' : `: ${JSON.stringify(shown)}`}`);
}

async function look(): Promise<void> {
  for (const app of apps) {
    const facts = await buildah.inspect(`localhost/keyturn/${app}`);
    demand(`${app} runs as ${user}`, facts.user === user, facts.user);
    demand(`${app} has its labels`, facts.labels['org.opencontainers.image.title'] === `keyturn-${app}`, facts.labels);
    demand(`our layers of ${app} are under 40 MB`, facts.ownBytes < limitBytes, facts.ownBytes);
    console.log(
      JSON.stringify({ image: app, ownMiB: Math.round((facts.ownBytes / 2 ** 20) * 10) / 10, layer: facts.layer }),
    );
  }
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

async function migrate(secrets: string): Promise<number> {
  const started = performance.now();
  for (const app of services) {
    const container = await buildah.make(`localhost/keyturn/${app}`, fromFiles);
    const code = await container.run(secrets, 'migrate');
    demand(`${app} migrates`, code === 0, container.output);
  }
  return Math.round(performance.now() - started);
}

interface Running {
  readonly app: ServiceName;
  readonly container: Container;
  readonly ended: Promise<number>;
  readonly readyMs: number;
}

async function start(app: ServiceName, secrets: string, env: Record<string, string>): Promise<Running> {
  const port = await freePort();
  const container = await buildah.make(`localhost/keyturn/${app}`, {
    ...fromFiles,
    ...env,
    MANAGEMENT_PORT: String(port),
    DRAIN_DELAY: '1s',
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

async function main(): Promise<void> {
  await look();
  const { secrets } = await servers();
  const migrateMs = await migrate(secrets);
  const gatewayPort = await freePort();
  const env: Record<string, string> = { GATEWAY_PORT: String(gatewayPort), WEBHOOK_ALLOW_HTTP: 'true' };
  env.WEBHOOK_ALLOW_CIDRS = '127.0.0.0/8';
  const running: Running[] = [];
  for (const app of services) running.push(await start(app, secrets, env));
  for (const { app, container } of running) {
    const status = readFileSync(`/proc/${container.pid}/status`, 'utf8');
    demand(
      `${app} runs as a user without rights`,
      /^Uid:\s+10001\s+10001/m.test(status) && /^CapEff:\s+0+$/m.test(status),
      status,
    );
  }
  await use(secrets, `http://127.0.0.1:${gatewayPort}`);
  const stopped = performance.now();
  for (const { container } of running) process.kill(container.pid, 'SIGTERM');
  for (const { app, ended, container } of running)
    demand(`${app} ends well on SIGTERM`, (await ended) === 0, container.output);
  const readyMs = Object.fromEntries(running.map(({ app, readyMs: ms }) => [app, ms]));
  console.log(JSON.stringify({ run: 'ok', migrateMs, readyMs, stopMs: Math.round(performance.now() - stopped) }));
}

void main()
  .catch((error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exitCode = 1;
  })
  .finally(async () => {
    for (const stop of stops.reverse()) await Promise.resolve(stop()).then(undefined, () => undefined);
  });
