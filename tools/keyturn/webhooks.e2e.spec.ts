import type { Delivery, DeliveryAttempt, Replay, Webhook, WebhookAudit } from '@keyturn/contracts';
import { HttpSink, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { captureCommandLine } from './capture';

// A whole system starts first, on whatever machine this is.
jest.setTimeout(60_000);

describe('webhooks, deliveries, replays and the feed from the command line', () => {
  let system: TestSystem;
  let sink: HttpSink;
  let spaceId: string;
  let slug: string;

  beforeAll(async () => {
    system = await startSystem({ env: { WEBHOOK_RETRY_SCHEDULE: '50ms,1h' } });
    sink = await HttpSink.start();
    ({ id: spaceId, slug } = await system.createSpace());
  });

  afterAll(async () => {
    await system?.stop();
    await sink?.stop();
  });

  const run = (line: readonly string[], more: { signal?: AbortSignal; out?: (text: string) => void } = {}) =>
    captureCommandLine([...line, '--space', slug], { env: system.adminEnv, ...more });

  async function json<T>(...line: readonly string[]): Promise<T> {
    const { code, out, err } = await run([...line, '--json']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    return JSON.parse(out) as T;
  }

  const create = (path: string, ...more: string[]) =>
    json<Webhook & { signingSecret: string }>(
      ...['webhooks', 'create', '--name', path, '--url', sink.url(path), '--events', 'file.*', ...more],
    );
  const publish = (...ids: number[]) =>
    system.publishAndApply(
      spaceId,
      ids.map((id) => ({ type: 'file.created', data: { id, name: `File ${id}` } })),
    );
  const requests = (path: string) => sink.requests.filter((request) => request.path === path);
  const deliveriesOf = async (id: string, ...more: string[]) =>
    (await json<{ deliveries: Delivery[] }>('deliveries', 'list', '--webhook', id, ...more)).deliveries;

  it('a webhook is made, shown, changed, tested, paused, resumed, rotated and deleted, with entries in the log', async () => {
    const made = await create(
      '/managed',
      ...['--rate-limit', '50', '--ordering', 'record', '--retry-schedule', '1,2.5', '--thin', 'true'],
      ...[
        '--filter',
        '{"file":[{"field":"listPrice","operator":"gte","value":5}]}',
        '--headers',
        '{"X-Tenant":"acme"}',
      ],
    );
    const { signingSecret, ...webhook } = made;
    expect(signingSecret).toMatch(/^whsec_/);
    expect(webhook).toMatchObject({
      ...{ rateLimit: 50, ordering: 'record', retrySchedule: [1, 2.5], thin: true, headerNames: ['X-Tenant'] },
      filter: { file: [{ field: 'listPrice', operator: 'gte', value: 5 }] },
    });
    expect(await json('webhooks', 'get', made.id)).toEqual(webhook);
    const shown = await run(['webhooks', 'list']);
    expect(shown.out).toMatch(/^ID +NAME +STATUS +EVENTS +URL\nwh_/);
    expect(shown.out).not.toContain('whsec_');
    const none = ['--filter', 'none', '--rate-limit', 'none', '--retry-schedule', 'none', '--headers', 'none'];
    expect(await json('webhooks', 'update', made.id, '--thin', 'false', ...none)).toMatchObject({
      ...{ thin: false, filter: null, rateLimit: null, retrySchedule: null, headerNames: [], ordering: 'record' },
    });
    const scheme = ['--signature-scheme', 'v1a'];
    expect(await json('webhooks', 'update', made.id, ...scheme)).toMatchObject({ signatureScheme: 'v1a' });
    expect((await run(['webhooks', 'get', made.id])).out).toMatch(/\npublic key +whpk_.*\nkeys at +\/\.well-known\//);
    expect(await json('webhooks', 'test', made.id)).toMatchObject({ event: 'webhook.test', status: 'success' });
    expect(await json('webhooks', 'pause', made.id)).toMatchObject({ status: 'paused' });
    const paused = await json<{ webhooks: Webhook[] }>('webhooks', 'list', '--status', 'paused');
    expect(paused.webhooks.map(({ id }) => id)).toEqual([made.id]);
    expect(await json('webhooks', 'resume', made.id)).toMatchObject({ status: 'active' });
    const rotated = await json<typeof made>('webhooks', 'rotate', made.id, '--overlap', '60');
    expect(rotated.signingSecret).not.toBe(signingSecret);
    expect(Date.parse(rotated.previousSecretUntil ?? '')).toBeGreaterThan(Date.now());
    expect(await json('webhooks', 'delete', made.id)).toEqual({ id: made.id, deleted: true });
    const gone = await run(['webhooks', 'get', made.id]);
    expect(gone).toMatchObject({ code: 1, err: `keyturn: There is no webhook "${made.id}" in the Space "${slug}"\n` });
  });

  it('deliveries are found by status, event, code and time, in pages, looked into and sent again', async () => {
    sink.answer((request) => (request.path === '/flaky' ? { status: 500, body: 'no' } : {}));
    const { id } = await create('/flaky');
    const since = new Date(Date.now() - 1_000).toISOString();
    await publish(1, 2, 3);
    const retrying = await waitFor('three that wait for their last try', async () => {
      const found = await deliveriesOf(id, '--status', 'retrying', '--code', '500', '--event', 'file.created');
      return found.length === 3 && found.every(({ attempts }) => attempts === 2) ? found : undefined;
    });
    expect(await deliveriesOf(id, '--status', 'retrying', '--since', since)).toEqual(retrying);
    for (const nothing of [
      ['--status', 'success'],
      ['--code', '200'],
      ['--event', 'note.created'],
      ['--until', since],
    ])
      expect([nothing, await deliveriesOf(id, ...nothing)]).toEqual([nothing, []]);

    const page = ['deliveries', 'list', '--webhook', id, '--limit', '2'];
    const first = await json<{ deliveries: Delivery[]; nextCursor: string }>(...page);
    const rest = await json<{ deliveries: Delivery[]; nextCursor: null }>(...page, '--cursor', first.nextCursor);
    expect([...first.deliveries, ...rest.deliveries]).toEqual(retrying);
    expect(rest.nextCursor).toBeNull();
    expect((await run(page)).out).toContain(`There are more: --cursor ${first.nextCursor}`);
    const foreign = await run(['deliveries', 'list', '--webhook', 'wh_999', '--cursor', first.nextCursor]);
    expect(foreign.err).toContain('--cursor is not one of this list');

    const one = retrying[0] as Delivery;
    const seen = await json<Delivery & { attemptLog: DeliveryAttempt[] }>('deliveries', 'get', one.id, '--webhook', id);
    expect(seen.attemptLog).toMatchObject([
      { number: 1, reason: 'first', responseStatus: 500, responseBody: 'no', address: '127.0.0.1' },
      { number: 2, reason: 'retry', responseStatus: 500 },
    ]);
    const { out } = await run(['deliveries', 'get', one.id, '--webhook', id]);
    expect(out).toMatch(/attempts +2 of 3\n/);
    expect(out).toMatch(/\n1 +first +\S+ +127\.0\.0\.1 .* ms .* 500 /);

    sink.answer({});
    await json('deliveries', 'resend', one.id, '--webhook', id);
    await waitFor('its success', async () => (await deliveriesOf(id, '--status', 'success')).length === 1);
    const missing = await run(['deliveries', 'resend', 'dlv_999999', '--webhook', id]);
    expect(missing.err).toContain(`There is no "dlv_999999" of webhook "${id}"`);
    const audit = await json<WebhookAudit>('webhooks', 'audit');
    expect(audit.webhooks.find(({ webhookId }) => webhookId === id)).toMatchObject({
      owed: 3,
      delivered: 1,
      waiting: 2,
    });
  });

  it('a replay is counted, made, followed to its end, shown, listed and cancelled', async () => {
    const since = new Date().toISOString();
    await publish(11, 12);
    const { id } = await create('/replayed');
    const replays = ['replays', 'create', '--webhook', id, '--status', 'missed', '--events', 'file.created'];
    const counted = await json<Replay>(...replays, '--since', since, '--dry-run');
    expect(counted).toMatchObject({ status: 'done', dryRun: true, matched: 2 });
    expect(requests('/replayed')).toEqual([]);
    const sent = await json<Replay>(...replays, '--since', since, '--rate', '100', '--wait');
    expect(sent).toMatchObject({ status: 'done', matched: 2, ratePerSecond: 100, deliveries: { success: 2 } });
    expect(requests('/replayed')).toHaveLength(2);
    expect(await json('replays', 'get', sent.id, '--webhook', id)).toEqual(sent);
    const listed = await json<{ replays: Replay[]; nextCursor: null }>('replays', 'list', '--webhook', id);
    expect(listed).toEqual({ replays: [sent, counted], nextCursor: null });
    const elsewhere = ['--url', sink.url('/elsewhere'), '--rate', '1'];
    const slow = await json<Replay>(
      ...['replays', 'create', '--webhook', id, '--status', 'all'],
      '--since',
      since,
      ...elsewhere,
    );
    expect(await json('replays', 'cancel', slow.id, '--webhook', id)).toMatchObject({ status: 'cancelled' });
    expect((await run(['replays', 'list', '--webhook', id])).out).toMatch(/^ID +STATUS +SELECTION /);
  });

  it('the feed is read in order, of some types, from a place on, and followed', async () => {
    const all = await json<{ events: { sequence: number }[]; next: number; more: boolean }>(
      'events',
      'feed',
      '--limit',
      '3',
    );
    expect([all.events.map(({ sequence }) => sequence), all.next, all.more]).toEqual([[1, 2, 3], 3, true]);
    expect((await run(['events', 'feed', '--limit', '3'])).out).toContain('There are more: --after 3');
    const tail = await json<{ next: number }>('events', 'feed', '--limit', '100');
    const stop = new AbortController();
    const heard: string[] = [];
    const following = run(['events', 'feed', '--follow', '--after', `${tail.next}`, '--types', 'note.*', '--json'], {
      signal: stop.signal,
      out: (text) => heard.push(text),
    });
    await system.publishAndApply(spaceId, [
      { type: 'contact.created', data: { id: 1 } },
      { type: 'note.created', data: { id: 1, subject: 'Zoë' } },
    ]);
    await waitFor('the note', () => Promise.resolve(heard.length > 0));
    stop.abort();
    expect((await following).code).toBe(0);
    expect(heard.map((line) => JSON.parse(line) as object)).toEqual([
      expect.objectContaining({
        sequence: tail.next + 2,
        payload: expect.objectContaining({ event: 'note.created', data: expect.objectContaining({ subject: 'Zoë' }) }),
      }),
    ]);
  });

  it('a record is erased, also from the history of its deliveries', async () => {
    const { id } = await create('/forgotten');
    await publish(77);
    await waitFor('its delivery', async () => (await deliveriesOf(id, '--status', 'success')).length === 1);
    expect(await json('erase', '--resource', 'file', '--id', '77')).toMatchObject({
      ...{ spaceId, resource: 'file', recordId: 77 },
      ...{ deleted: true, events: 1, payloads: 1 },
    });
    const delivery = (await deliveriesOf(id)).find(({ event }) => event === 'file.created');
    expect(delivery?.payload).toMatchObject({ event: 'file.created', data: { id: 77 } });
    expect(JSON.stringify(delivery)).not.toContain('File 77');
  });
});
