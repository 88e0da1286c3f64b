import { ApiError, eventNames, type ListQuery } from '@keyturn/contracts';
import { listQuery as query, waitFor } from '@keyturn/testing';
import { SecretBox, secretContext } from '@keyturn/webhook-store';
import { attempt, secretsKey, WebhookServiceFixture } from './webhooks.fixture';

const valid = { name: 'My CRM Sync', url: 'https://your-app.com/webhooks', events: ['file.created', 'file.updated'] };

const newest = (change: Partial<ListQuery> = {}) => query({ order: 'desc', ...change });

const refusal = (code: string, field?: string) =>
  expect.objectContaining({
    code,
    ...(field ? { options: expect.objectContaining({ field }) as object } : {}),
  }) as object;

describe('webhooks of a Space', () => {
  let fixture: WebhookServiceFixture;
  beforeAll(async () => {
    fixture = await WebhookServiceFixture.open();
  });
  afterAll(() => fixture.close());

  /** A Space that no other test has seen. */
  let spaces = 0;
  let space: string;
  beforeEach(() => {
    space = `spc_${++spaces}`;
  });

  describe('creating', () => {
    it('T-082 T-083 T-084 returns the documented fields, and the secret this once', async () => {
      const service = fixture.service();
      const created = await service.create(space, valid);
      expect(Object.keys(created).slice(0, 7)).toEqual([
        'id',
        'name',
        'url',
        'events',
        'signingSecret',
        'isActive',
        'createdAt',
      ]);
      expect(created).toMatchObject({ ...valid, isActive: true, status: 'active' });
      expect(created.id).toMatch(/^wh_[1-9]\d*$/);
      expect(created.signingSecret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
      expect(created.createdAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

      const { signingSecret, ...rest } = created;
      expect(await service.get(space, created.id)).toEqual(rest);
      expect(JSON.stringify((await service.list(space, query())).rows)).not.toContain(signingSecret);
      expect(JSON.stringify(await service.update(space, created.id, { name: 'other' }))).not.toContain('whsec_');
    });

    it('T-084 the secret lies encrypted, bound to its Space', async () => {
      const { id, signingSecret } = await fixture.service().create(space, valid);
      const [row] = await fixture.database
        .acrossSpaces('a test looks at what is stored')
        .query<{ secret_enc: Buffer; space_id: string; row: string }>(
          {
            name: 'test.secret',
            text: 'select secret_enc, space_id, e::text as row from webhooks.endpoint e where id = $1',
          },
          [id.slice(3)],
        );
      const plain = Buffer.from(signingSecret);
      expect(row?.row).not.toContain(signingSecret);
      expect(row?.row).not.toContain(plain.toString('hex'));
      const box = new SecretBox(secretsKey);
      expect(box.open(row?.secret_enc as Buffer, secretContext(row?.space_id as string))).toBe(signingSecret);
      expect(() => box.open(row?.secret_enc as Buffer, secretContext('999999'))).toThrow();
    });

    it('T-085 keeps the order of the events and drops duplicates; all 22, wildcards and events about webhooks', async () => {
      const events = ['note.deleted', 'file.*', 'note.deleted', 'webhook.disabled', ...eventNames.toReversed()];
      const created = await fixture.service().create(space, { ...valid, events });
      expect(created.events).toEqual([...new Set(events)]);
      expect(eventNames).toHaveLength(22);
    });

    it.each([
      ['no body', null, 'body'],
      ['an array', [valid], 'body'],
      ['a text', 'name', 'body'],
      ['no name', { ...valid, name: undefined }, 'name'],
      ['null for a name', { ...valid, name: null }, 'name'],
      ['a number for a name', { ...valid, name: 5 }, 'name'],
      ['an empty name', { ...valid, name: '' }, 'name'],
      ['a blank name', { ...valid, name: ' \t' }, 'name'],
      ['a NUL in a name', { ...valid, name: 'a\0b' }, 'name'],
      ['half a character in a name', { ...valid, name: 'a\ud83d' }, 'name'],
      ['a long name', { ...valid, name: 'x'.repeat(201) }, 'name'],
      ['no url', { ...valid, url: undefined }, 'url'],
      ['an object for a url', { ...valid, url: {} }, 'url'],
      ['a relative url', { ...valid, url: '/hook' }, 'url'],
      ['http', { ...valid, url: 'http://your-app.com/' }, 'url'],
      ['another scheme', { ...valid, url: 'file:///etc/passwd' }, 'url'],
      ['a user in the url', { ...valid, url: 'https://u:p@your-app.com/' }, 'url'],
      ['a fragment', { ...valid, url: 'https://your-app.com/#x' }, 'url'],
      ['loopback', { ...valid, url: 'https://127.0.0.1/' }, 'url'],
      ['localhost', { ...valid, url: 'https://localhost:8443/' }, 'url'],
      ['metadata', { ...valid, url: 'https://[::ffff:a9fe:a9fe]/' }, 'url'],
      ['a long url', { ...valid, url: `https://your-app.com/${'x'.repeat(2_048)}` }, 'url'],
      ['no events', { ...valid, events: undefined }, 'events'],
      ['an empty array of events', { ...valid, events: [] }, 'events'],
      ['a text for events', { ...valid, events: 'file.created' }, 'events'],
      ['a number among events', { ...valid, events: ['file.created', 1] }, 'events'],
      ['an unknown event', { ...valid, events: ['file.created', 'file.renamed'] }, 'events'],
      ['an agent event', { ...valid, events: ['agent.created'] }, 'events'],
      ['the event of tests', { ...valid, events: ['webhook.test'] }, 'events'],
      ['everything', { ...valid, events: ['*'] }, 'events'],
      ['a wildcard of nothing', { ...valid, events: ['agent.*'] }, 'events'],
      ['isActive as a text', { ...valid, isActive: 'true' }, 'isActive'],
      ['a secret of its own', { ...valid, signingSecret: 'whsec_x' }, 'signingSecret'],
      ['an unknown field', { ...valid, description: 'x' }, 'description'],
      [
        '__proto__',
        JSON.parse(`{"name":"x","url":"https://a.example","events":["file.*"],"__proto__":{}}`),
        '__proto__',
      ],
      ['no rate', { ...valid, rateLimit: 0 }, 'rateLimit'],
      ['half a rate', { ...valid, rateLimit: 1.5 }, 'rateLimit'],
      ['an unknown order', { ...valid, ordering: 'fifo' }, 'ordering'],
      ['a schedule of texts', { ...valid, retrySchedule: ['30s'] }, 'retrySchedule'],
      ['a schedule without end', { ...valid, retrySchedule: Array(21).fill(1) }, 'retrySchedule'],
      ['thin as a number', { ...valid, thin: 1 }, 'thin'],
      ['an unknown scheme', { ...valid, signatureScheme: 'v2' }, 'signatureScheme'],
      ['no scheme', { ...valid, signatureScheme: null }, 'signatureScheme'],
      ['handshake as a text', { ...valid, handshake: 'yes' }, 'handshake'],
      ['a key of its own', { ...valid, publicKey: 'whpk_x' }, 'publicKey'],
      ['a header of ours', { ...valid, headers: { 'Webhook-Id': 'x' } }, 'headers'],
      ['a header of HTTP', { ...valid, headers: { Host: 'x' } }, 'headers'],
      ['a header with a line end', { ...valid, headers: { 'X-A': 'a\r\nb: c' } }, 'headers'],
      ['a header twice', { ...valid, headers: { 'X-A': 'a', 'x-a': 'b' } }, 'headers'],
      ['a filter of an unknown resource', { ...valid, filter: { agent: [] } }, 'filter'],
      [
        'a filter on a hidden field',
        { ...valid, filter: { user: [{ field: 'passwordHash', operator: 'changed' }] } },
        'filter',
      ],
      [
        'a filter of the wrong type',
        { ...valid, filter: { file: [{ field: 'listPrice', operator: 'gt', value: '5' }] } },
        'filter',
      ],
      [
        'a filter with a wrong operator',
        { ...valid, filter: { file: [{ field: 'name', operator: 'gt', value: 'a' }] } },
        'filter',
      ],
    ])('T-081 T-085 T-086 refuses %s and names the field', async (_what, input, field) => {
      await expect(fixture.service().create(space, input)).rejects.toEqual(refusal('VALIDATION_ERROR', field));
      expect((await fixture.service().list(space, query())).head.total).toBe(0);
    });

    it('T-086 X5 plain http to named loopback addresses, where the operator allows both', async () => {
      const local = fixture.service({ allowHttp: true, allowCidrs: ['127.0.0.0/8', '::1/128'] });
      const created = await local.create(space, { ...valid, url: 'http://127.0.0.1:8080/hook' });
      expect(created.url).toBe('http://127.0.0.1:8080/hook');
      await expect(local.create(space, { ...valid, url: 'http://10.0.0.1/' })).rejects.toEqual(
        refusal('VALIDATION_ERROR', 'url'),
      );
    });

    it('a quota per Space holds when many come at once', async () => {
      const service = fixture.service({ webhookQuota: 5 });
      const all = await Promise.allSettled(Array.from({ length: 12 }, () => service.create(space, valid)));
      const refused = all.filter(({ status }) => status === 'rejected');
      expect(refused).toHaveLength(7);
      for (const { reason } of refused as PromiseRejectedResult[]) expect(reason).toEqual(refusal('VALIDATION_ERROR'));
      const { rows } = await service.list(space, query());
      await service.delete(space, rows[0]?.id ?? '');
      await service.create(space, valid);
      await expect(service.create(space, valid)).rejects.toBeInstanceOf(ApiError);
      await service.create('spc_4000', valid);
    });

    it('takes all that an owner may choose', async () => {
      const settings = {
        isActive: false,
        rateLimit: 10,
        ordering: 'record',
        retrySchedule: [0.5, 60],
        thin: true,
        filter: {
          file: [
            { field: 'listingStatus', operator: 'changed' },
            { field: 'listPrice', operator: 'gte', value: 500_000 },
            { field: 'reviewSubmittedAt', operator: 'gt', value: '2026-03-10T12:00:00+01:00' },
          ],
        },
      };
      const created = await fixture
        .service()
        .create(space, { ...valid, ...settings, headers: { Authorization: 'Bearer x', 'X-Env': 'prod' } });
      expect(created).toMatchObject({
        ...settings,
        status: 'inactive',
        headerNames: ['Authorization', 'X-Env'],
        filter: { file: [{}, {}, { value: '2026-03-10T11:00:00.000Z' }] },
      });
      expect(JSON.stringify(created)).not.toContain('Bearer');
    });
  });

  describe('listing', () => {
    it('T-080 T-069 the webhooks of the Space, with paging, sort, filter and search', async () => {
      const service = fixture.service();
      const names = ['Beta', 'alpha', 'Gamma'];
      for (const name of names) await service.create(space, { ...valid, name, isActive: name !== 'Gamma' });
      const { head, rows } = await service.list(space, query({ sort: 'name', pageSize: 2 }));
      expect(head).toEqual({ count: 2, total: 3, next: null });
      expect(rows.map(({ name }) => name)).toEqual(['alpha', 'Beta']);
      const inactive = await service.list(
        space,
        query({ filters: [{ field: 'isActive', operator: 'eq', values: [false] }] }),
      );
      expect(inactive.rows.map(({ name }) => name)).toEqual(['Gamma']);
      expect((await service.list(space, query({ search: ['bet'] }))).rows).toHaveLength(1);
      expect((await service.list('spc_4001', query())).head.total).toBe(0);
    });
  });

  it('reads end with their caller, in Postgres too', async () => {
    const service = fixture.service();
    const { id } = await service.create(space, valid);
    const activity = {
      name: '',
      text: `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    };
    const waiting = async () => (await fixture.database.acrossSpaces('a test').query(activity)).length;
    const started = performance.now();
    await fixture.database.transaction('somebody has the tables', async (tx) => {
      const lock = { name: '', text: 'lock table webhooks.endpoint, webhooks.replay in access exclusive mode' };
      await tx.acrossSpaces('a test').query(lock);
      const until = performance.now() + 500;
      const reads = [
        service.list(space, query(), until),
        service.get(space, id, until),
        service.listDeliveries(space, id, query(), until),
        service.getDelivery(space, id, 'dlv_1', until),
        fixture.replays().list(space, id, query(), until),
      ].map((read) => expect(read).rejects.toMatchObject({ code: 'UNAVAILABLE' }));
      await waitFor('one to wait', async () => (await waiting()) > 0);
      await Promise.all(reads);
      await waitFor('Postgres to have stopped them', async () => (await waiting()) === 0);
    });
    // Well before the statements' own limit.
    expect(performance.now() - started).toBeLessThan(4_000);
  });

  describe('changing', () => {
    it('T-088 each part alone, and nothing', async () => {
      const service = fixture.service();
      const { signingSecret: _shown, ...created } = await service.create(space, valid);
      expect(await service.update(space, created.id, {})).toEqual(created);
      const changed = await service.update(space, created.id, { url: 'https://other.example/', name: 'Other' });
      expect(changed).toMatchObject({ url: 'https://other.example/', name: 'Other', events: valid.events });
      expect(changed.updatedAt > created.updatedAt).toBe(true);
      expect(await service.update(space, created.id, { isActive: false })).toMatchObject({
        isActive: false,
        status: 'inactive',
      });
      expect(await service.get(space, created.id)).toMatchObject({ isActive: false, name: 'Other' });
    });

    it('T-088 what cannot be changed may be repeated, but not differ', async () => {
      const service = fixture.service();
      const { signingSecret, ...created } = await service.create(space, valid);
      expect(await service.update(space, created.id, { ...created, headerNames: [], name: 'Same' })).toMatchObject({
        name: 'Same',
      });
      for (const change of [
        { id: 'wh_1' },
        { createdAt: '2020-01-01T00:00:00.000Z' },
        { signingSecret },
        { unknown: 1 },
        { constructor: 1 },
      ])
        await expect(service.update(space, created.id, change)).rejects.toEqual(
          refusal('VALIDATION_ERROR', Object.keys(change)[0]),
        );
      for (const change of [{ events: [] }, { url: 'http://your-app.com' }, { name: null }, { isActive: 1 }])
        await expect(service.update(space, created.id, change)).rejects.toEqual(
          refusal('VALIDATION_ERROR', Object.keys(change)[0]),
        );
    });

    it('two changes at once both hold', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      await Promise.all([service.update(space, id, { name: 'A' }), service.update(space, id, { events: ['note.*'] })]);
      expect(await service.get(space, id)).toMatchObject({ name: 'A', events: ['note.*'] });
    });

    it('T-089 tells the dispatchers', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      await service.update(space, id, { isActive: false });
      expect(fixture.hinted).toContain(id);
    });
  });

  it('T-090 a deleted webhook is gone', async () => {
    const service = fixture.service();
    const { id } = await service.create(space, valid);
    await service.delete(space, id);
    await expect(service.get(space, id)).rejects.toEqual(refusal('NOT_FOUND'));
    await expect(service.delete(space, id)).rejects.toEqual(refusal('NOT_FOUND'));
    expect((await service.list(space, query())).head.total).toBe(0);
  });

  describe('testing', () => {
    it('T-091 answers with the delivery, whatever the receiver said', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, { ...valid, isActive: false });
      expect(await service.test(space, id)).toMatchObject({
        webhookId: id,
        event: 'webhook.test',
        status: 'success',
        attempts: 1,
        maxAttempts: 1,
        responseStatus: 200,
        payload: { event: 'webhook.test', data: { webhookId: id } },
      });
      fixture.testAnswer = 500;
      expect(await service.test(space, id)).toMatchObject({ status: 'failed', responseStatus: 500, nextRetryAt: null });
      fixture.testAnswer = 200;
    });

    it('a quota of calls a minute holds when many come at once, and says when the next is free', async () => {
      const service = fixture.service({ testQuota: 3 });
      const { id } = await service.create(space, valid);
      const all = await Promise.allSettled(Array.from({ length: 8 }, () => service.test(space, id)));
      expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(3);
      const error = await service.test(space, id).catch((thrown: unknown) => thrown);
      expect(error).toEqual(refusal('RATE_LIMIT_EXCEEDED'));
      expect((error as ApiError).options.retryAfterSeconds).toBeGreaterThan(50);
      expect((error as ApiError).options.retryAfterSeconds).toBeLessThanOrEqual(60);
    });
  });

  describe('deliveries', () => {
    it('T-092 newest first, with every documented field and the payload as it was sent', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      const { instance, leased, events } = await fixture.accept(space, 3);
      await fixture.dispatch.record(instance, [
        attempt(leased[0]?.id ?? '', { kind: 'delivered' }),
        attempt(leased[1]?.id ?? '', { kind: 'retry', inMs: 30_000 }, 503),
      ]);
      const { head, rows } = await service.listDeliveries(space, id, newest());
      expect(head).toEqual({ count: 3, total: 3, next: null });
      const [pending, retrying, delivered] = rows.map((row) => JSON.parse(row) as Record<string, unknown>);
      expect(delivered).toEqual({
        id: `dlv_${leased[0]?.id}`,
        webhookId: id,
        messageId: events[0]?.id,
        event: 'file.updated',
        status: 'success',
        attempts: 1,
        maxAttempts: 9,
        responseStatus: 200,
        responseBody: 'OK',
        error: null,
        durationMs: 3,
        createdAt: expect.stringMatching(/Z$/) as string,
        lastAttemptAt: expect.stringMatching(/Z$/) as string,
        nextRetryAt: null,
        deliveredAt: expect.stringMatching(/Z$/) as string,
        payload: JSON.parse(Buffer.from(events[0]?.payload ?? []).toString()) as object,
      });
      expect(rows[2]).toContain(Buffer.from(events[0]?.payload ?? []).toString());
      expect(retrying).toMatchObject({
        status: 'retrying',
        responseStatus: 503,
        error: 'the receiver answered 503',
        nextRetryAt: expect.stringMatching(/Z$/) as string,
        deliveredAt: null,
      });
      expect(pending).toMatchObject({ status: 'pending', attempts: 0, responseStatus: null, lastAttemptAt: null });
    });

    it('T-092 filters, sorts, searches, pages and walks', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, { ...valid, events: ['file.*', 'note.*'] });
      const { instance, leased } = await fixture.accept(space, 5);
      await fixture.accept(space, 2, { event: 'note.created' });
      await fixture.dispatch.record(instance, [
        attempt(leased[0]?.id ?? '', { kind: 'failed' }, 500),
        attempt(leased[1]?.id ?? '', { kind: 'retry', inMs: 60_000 }, 502),
        attempt(leased[2]?.id ?? '', { kind: 'delivered' }, 201),
      ]);
      const count = async (change: Partial<ListQuery>) => {
        const { head, rows } = await service.listDeliveries(space, id, newest(change));
        expect(head.total).toBe(rows.length);
        return rows.length;
      };
      const status = (...values: string[]) => ({ filters: [{ field: 'status', operator: 'in' as const, values }] });
      expect(await count(status('failed'))).toBe(1);
      expect(await count(status('retrying'))).toBe(1);
      expect(await count(status('pending'))).toBe(4);
      expect(await count(status('success'))).toBe(1);
      expect(await count(status('success', 'failed'))).toBe(2);
      expect(await count(status('pending', 'retrying'))).toBe(5);
      expect(await count({ filters: [{ field: 'event', operator: 'eq', values: ['note.created'] }] })).toBe(2);
      expect(await count({ filters: [{ field: 'responseStatus', operator: 'gte', values: [500] }] })).toBe(2);
      expect(await count({ search: ['answered 500'] })).toBe(1);
      expect(await count({ filters: [{ field: 'createdAt', operator: 'gt', values: ['2020-01-01'] }] })).toBe(7);

      const seen: unknown[] = [];
      let after: { value: string | number | boolean | null; id: number } | null = null;
      do {
        const { head, rows } = await service.listDeliveries(space, id, newest({ pageSize: 3, window: { after } }));
        seen.push(...rows.map((row) => (JSON.parse(row) as { id: string }).id));
        after = head.next;
      } while (after);
      expect(seen).toHaveLength(7);
      expect(new Set(seen).size).toBe(7);
      const sparse = await service.listDeliveries(space, id, newest({ fields: ['id', 'status'], pageSize: 1 }));
      expect(Object.keys(JSON.parse(sparse.rows[0] ?? '{}') as object)).toEqual(['id', 'status']);
    });
  });

  describe("owner's tools", () => {
    it('a creation under an Idempotency-Key happens once, however often it comes', async () => {
      const service = fixture.service();
      const [first, ...repeats] = await Promise.all(
        Array.from({ length: 5 }, () => service.create(space, valid, 'key-1')),
      );
      for (const repeat of repeats) expect(repeat).toEqual(first);
      const reordered = Object.fromEntries(Object.entries(valid).toReversed());
      expect(await service.create(space, reordered, 'key-1')).toEqual(first);
      await expect(service.create(space, { ...valid, name: 'other' }, 'key-1')).rejects.toEqual(refusal('CONFLICT'));
      expect((await service.create('spc_6000', valid, 'key-1')).id).not.toBe(first?.id);
      expect((await service.create(space, valid)).id).not.toBe(first?.id);
      for (const key of ['', 'a b', 'ä', 'x'.repeat(256)])
        await expect(service.create(space, valid, key)).rejects.toEqual(refusal('VALIDATION_ERROR', 'Idempotency-Key'));
    });

    it('a key is free again after 24 hours', async () => {
      const service = fixture.service();
      const first = await service.create(space, valid, 'key-2');
      await fixture.database.acrossSpaces('a test moves time').query({
        name: 'test.age_keys',
        text: `update webhooks.idempotency set created_at = created_at - interval '25 hours'`,
      });
      expect((await service.create(space, { ...valid, name: 'other' }, 'key-2')).id).not.toBe(first.id);
    });

    it('pause holds, resume sends', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      expect(await service.setPaused(space, id, true)).toMatchObject({ status: 'paused', isActive: true });
      const { instance, leased } = await fixture.accept(space, 2);
      expect(leased).toEqual([]);
      const room = { total: 10, perEndpoint: 10, ofEndpoint: new Map<string, number>() };
      expect(await fixture.dispatch.claim(instance, room)).toEqual([]);
      expect(await service.setPaused(space, id, false)).toMatchObject({ status: 'active' });
      const claimed = await fixture.dispatch.claim(instance, room);
      expect(claimed.map(({ webhookId }) => `wh_${webhookId}`)).toEqual([id, id]);
      await expect(service.setPaused('spc_6001', id, true)).rejects.toEqual(refusal('NOT_FOUND'));
    });

    it('a rotated secret is shown once, and the one before signs too for a day', async () => {
      const service = fixture.service();
      const created = await service.create(space, valid);
      const rotated = await service.rotate(space, created.id, null);
      expect(rotated.signingSecret).not.toBe(created.signingSecret);
      const hours = (Date.parse(rotated.previousSecretUntil ?? '') - Date.now()) / 3_600_000;
      expect(hours).toBeGreaterThan(23.9);
      expect(hours).toBeLessThanOrEqual(24);
      const secrets = async () => (await fixture.dispatch.endpoints([created.id.slice(3)]))[0]?.secrets;
      expect(await secrets()).toEqual([rotated.signingSecret, created.signingSecret]);
      expect(await service.get(space, created.id)).not.toHaveProperty('signingSecret');

      const again = await service.rotate(space, created.id, { overlapSeconds: 0 });
      expect(again.previousSecretUntil).toBeNull();
      expect(await secrets()).toEqual([again.signingSecret]);
      for (const overlapSeconds of [-1, 604_801, '1'])
        await expect(service.rotate(space, created.id, { overlapSeconds })).rejects.toEqual(
          refusal('VALIDATION_ERROR', 'overlapSeconds'),
        );
      await expect(service.rotate('spc_6002', created.id, null)).rejects.toEqual(refusal('NOT_FOUND'));
    });

    it('a webhook with v1a shows its public key and where all of them are, never a private one', async () => {
      const service = fixture.service();
      const created = await service.create(space, { ...valid, signatureScheme: 'v1a' });
      expect(created).toMatchObject({
        signatureScheme: 'v1a',
        previousSchemeUntil: null,
        publicKey: expect.stringMatching(/^whpk_[A-Za-z0-9+/]{43}=$/) as string,
        publicKeysPath: expect.stringMatching(/^\/\.well-known\/webhook-keys\/[0-9a-f-]{36}$/) as string,
        signingSecret: expect.stringMatching(/^whsec_/) as string,
      });
      const keysId = created.publicKeysPath?.split('/').at(-1) ?? '';
      expect(await service.publicKeys(keysId)).toEqual([{ publicKey: created.publicKey, until: null }]);
      await expect(service.publicKeys(created.id)).rejects.toEqual(refusal('NOT_FOUND'));
      const rotated = await service.rotate(space, created.id, null);
      expect(rotated.publicKeysPath).toBe(created.publicKeysPath);
      expect((await service.publicKeys(keysId)).map(({ publicKey }) => publicKey)).toEqual([
        rotated.publicKey,
        created.publicKey,
      ]);
      const back = await service.update(space, created.id, { signatureScheme: 'v1', publicKey: rotated.publicKey });
      expect(back).toMatchObject({ signatureScheme: 'v1', publicKey: null, publicKeysPath: null });
      expect(back.previousSchemeUntil).not.toBeNull();
      const shown = [created, rotated, back, (await service.list(space, query())).rows];
      expect(JSON.stringify(shown)).not.toContain('whsk_');
    });

    describe('the consent of receivers', () => {
      const refused = { problem: 'it answered 405', allowedRate: null };
      const asked = () => fixture.handshakes.splice(0).map(({ url }) => url);
      beforeEach(() => {
        fixture.handshakes.length = 0;
        fixture.consent = { problem: null, allowedRate: 90 };
      });

      it('is asked of nobody unless somebody says so', async () => {
        const created = await fixture.service().create(space, valid);
        await fixture.service().update(space, created.id, { url: 'https://other.example/' });
        expect(created).toMatchObject({ handshake: false, verifiedAt: null, allowedRate: null });
        expect(asked()).toEqual([]);
      });

      it.each([
        [false, { before: false, url: false, handshake: true }],
        [true, { before: true, url: true, handshake: true }],
      ])('is known of beforehand (for the installation: %s)', async (handshake, expected) => {
        const service = fixture.service({ handshake });
        const [{ id }, asking] = [
          await fixture.service().create(space, valid),
          await fixture.service().create(space, { ...valid, handshake: true }),
        ];
        const asks = (of?: string, wanted = false) => service.asksReceiver(space, of, { handshake: wanted });
        expect({ before: await asks(), url: await asks(id), handshake: await asks(id, true) }).toEqual(expected);
        expect([await asks(asking.id), await asks(undefined, true)]).toEqual([true, true]);
        if (!handshake) await expect(asks('wh_999')).rejects.toEqual(refusal('NOT_FOUND'));
      });

      it('is asked before a webhook is made; a refusal names url and makes nothing', async () => {
        const service = fixture.service();
        const created = await service.create(space, { ...valid, handshake: true, rateLimit: 3 });
        expect(created).toMatchObject({
          handshake: true,
          allowedRate: 90,
          verifiedAt: expect.stringMatching(/Z$/) as string,
        });
        expect(fixture.handshakes.splice(0)).toEqual([{ url: valid.url, ratePerMinute: 180 }]);
        fixture.consent = refused;
        const error = await service.create(space, { ...valid, handshake: true }).catch((thrown: unknown) => thrown);
        expect(error).toEqual(refusal('VALIDATION_ERROR', 'url'));
        expect((error as ApiError).message).toBe('url does not consent to deliveries: it answered 405');
        expect((await service.list(space, query())).head.total).toBe(1);
      });

      it('is asked again for another URL and for nothing else; a refusal changes nothing', async () => {
        const service = fixture.service();
        const { id, verifiedAt } = await service.create(space, { ...valid, handshake: true });
        asked();
        const same = await service.update(space, id, { url: valid.url, name: 'other', handshake: true });
        expect([same.verifiedAt, asked()]).toEqual([verifiedAt, []]);
        fixture.consent = refused;
        const url = 'https://other.example/';
        await expect(service.update(space, id, { url })).rejects.toEqual(refusal('VALIDATION_ERROR', 'url'));
        expect(await service.get(space, id)).toMatchObject({ url: valid.url, verifiedAt, allowedRate: 90 });
        fixture.consent = { problem: null, allowedRate: null };
        expect(await service.update(space, id, { url })).toMatchObject({ url, allowedRate: null });
        expect(asked()).toEqual([url, url]);
        const free = await service.update(space, id, { url: valid.url, handshake: false });
        expect(free).toMatchObject({ handshake: false, verifiedAt: null });
        expect(asked()).toEqual([]);
        expect((await service.update(space, id, { handshake: true })).verifiedAt).not.toBeNull();
        expect(asked()).toEqual([valid.url]);
      });

      it('is asked of everybody where the installation says so, replays to another URL included', async () => {
        const service = fixture.service({ handshake: true });
        const { id } = await service.create(space, valid);
        await service.update(space, id, { url: 'https://other.example/' });
        const replays = fixture.replays({ handshake: true });
        const replay = { since: new Date(Date.now() - 60_000).toISOString(), url: 'https://third.example/' };
        fixture.consent = refused;
        await expect(replays.create(space, id, replay)).rejects.toEqual(refusal('VALIDATION_ERROR', 'url'));
        fixture.consent = { problem: null, allowedRate: 30 };
        await replays.create(space, id, { ...replay, dryRun: true });
        await replays.create(space, id, replay);
        expect(asked()).toEqual([valid.url, 'https://other.example/', replay.url, replay.url]);
      });

      it('is not asked again for a creation that has been made', async () => {
        const service = fixture.service();
        const first = await service.create(space, { ...valid, handshake: true }, 'once');
        fixture.consent = refused;
        expect(await service.create(space, { ...valid, handshake: true }, 'once')).toEqual(first);
        expect(asked()).toEqual([valid.url]);
      });

      it('counts as a test call', async () => {
        const service = fixture.service({ testQuota: 2 });
        for (const name of ['1', '2']) await service.create(space, { ...valid, name, handshake: true });
        await expect(service.create(space, { ...valid, handshake: true })).rejects.toEqual(
          refusal('RATE_LIMIT_EXCEEDED'),
        );
        expect(asked()).toHaveLength(2);
      });

      it('limits what is sent, beside the limit of the owner', async () => {
        const rateOf = async (id: string) => {
          const [row] = await fixture.database
            .acrossSpaces('a test looks at what is stored')
            .query<{ rate: number | null }>(
              { name: 'test.send_rate', text: 'select send_rate as rate from webhooks.endpoint where id = $1' },
              [id.slice('wh_'.length)],
            );
          return row?.rate;
        };
        const service = fixture.service();
        const { id } = await service.create(space, { ...valid, handshake: true });
        expect(await rateOf(id)).toBe(1.5);
        await service.update(space, id, { rateLimit: 1 });
        expect(await rateOf(id)).toBe(1);
        await service.update(space, id, { rateLimit: null, handshake: false, url: 'https://free.example/' });
        expect(await rateOf(id)).toBeNull();
        const { leased } = await fixture.accept(space, 2);
        expect(leased).toHaveLength(2);
        const slow = await service.create(space, { ...valid, handshake: true });
        const { instance, leased: of } = await fixture.accept(space, 5);
        expect(of.map(({ webhookId }) => `wh_${webhookId}`)).not.toContain(slow.id);
        const room = { total: 100, perEndpoint: 100, ofEndpoint: new Map<string, number>() };
        const claimed = (await fixture.dispatch.claim(instance, room)).filter(
          ({ webhookId }) => `wh_${webhookId}` === slow.id,
        );
        // A second ahead, at one and a half a second.
        expect(claimed.map(({ notBeforeInMs }) => Math.round(notBeforeInMs / 10) * 10)).toEqual([0, 670]);
      });
    });

    it('one delivery with every attempt', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      const { instance, leased } = await fixture.accept(space, 1);
      const delivery = leased[0]?.id ?? '';
      await fixture.dispatch.record(instance, [attempt(delivery, { kind: 'repeat' }, 502)]);
      await fixture.dispatch.record(instance, [attempt(delivery, { kind: 'delivered' }, 200, 'repeat')]);
      expect(await service.getDelivery(space, id, `dlv_${delivery}`)).toMatchObject({
        id: `dlv_${delivery}`,
        status: 'success',
        attempts: 1,
        attemptLog: [
          { number: 1, reason: 'first', responseStatus: 502, error: 'the receiver answered 502', fault: 'status' },
          {
            number: 1,
            reason: 'repeat',
            responseStatus: 200,
            address: '127.0.0.1',
            dnsMs: 0.1,
            connectMs: 0.2,
            tlsMs: null,
            firstByteMs: 1.5,
            durationMs: 2.6,
            responseHeaders: { 'content-type': 'text/plain' },
            responseBody: 'OK',
            superseded: false,
          },
        ],
      });
      for (const missing of ['dlv_999999', delivery, 'dlv_x'])
        await expect(service.getDelivery(space, id, missing)).rejects.toEqual(refusal('NOT_FOUND'));
      const other = await service.create(space, valid);
      await expect(service.getDelivery(space, other.id, `dlv_${delivery}`)).rejects.toEqual(refusal('NOT_FOUND'));
      await expect(service.getDelivery('spc_6003', id, `dlv_${delivery}`)).rejects.toEqual(refusal('NOT_FOUND'));
    });

    it('resends what has ended, from the beginning of its schedule, under the same id', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      const { instance, leased } = await fixture.accept(space, 1);
      const delivery = leased[0]?.id ?? '';
      await fixture.dispatch.record(instance, [attempt(delivery, { kind: 'failed' }, 500)]);
      expect(await service.resend(space, id, `dlv_${delivery}`)).toMatchObject({
        id: `dlv_${delivery}`,
        status: 'pending',
        attempts: 1,
        maxAttempts: 10,
      });
      const room = { total: 10, perEndpoint: 10, ofEndpoint: new Map<string, number>() };
      const [claimed] = await fixture.dispatch.claim(instance, room);
      expect(claimed).toMatchObject({ id: delivery, reason: 'resend', attempts: 1, attemptsBefore: 1 });
      // On its way: another resend changes nothing.
      expect(await service.resend(space, id, `dlv_${delivery}`)).toMatchObject({ status: 'pending' });
      const second = attempt(delivery, { kind: 'delivered' }, 200, 'resend');
      await fixture.dispatch.record(instance, [{ ...second, attempt: { ...second.attempt, number: 2 } }]);
      expect(await service.getDelivery(space, id, `dlv_${delivery}`)).toMatchObject({ status: 'success', attempts: 2 });
    });

    it('resends at once what waits for its retry', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      const { instance, leased } = await fixture.accept(space, 1);
      const delivery = leased[0]?.id ?? '';
      await fixture.dispatch.record(instance, [attempt(delivery, { kind: 'retry', inMs: 3_600_000 }, 500)]);
      await service.resend(space, id, `dlv_${delivery}`);
      const room = { total: 10, perEndpoint: 10, ofEndpoint: new Map<string, number>() };
      expect(await fixture.dispatch.claim(instance, room)).toMatchObject([{ id: delivery, reason: 'resend' }]);
    });

    it('resends no test, and nothing to a webhook that is off', async () => {
      const service = fixture.service();
      const { id } = await service.create(space, valid);
      const test = await service.test(space, id);
      await expect(service.resend(space, id, test.id)).rejects.toEqual(refusal('VALIDATION_ERROR'));
      const { leased } = await fixture.accept(space, 1);
      await service.update(space, id, { isActive: false });
      await expect(service.resend(space, id, `dlv_${leased[0]?.id}`)).rejects.toEqual(refusal('CONFLICT'));
    });
  });

  it('T-093 another Space sees none of it, on any operation', async () => {
    const service = fixture.service();
    const { id } = await service.create(space, valid);
    await fixture.accept(space, 1);
    const foreign = 'spc_5000';
    const missing = refusal('NOT_FOUND');
    await expect(service.get(foreign, id)).rejects.toEqual(missing);
    await expect(service.update(foreign, id, { name: 'x' })).rejects.toEqual(missing);
    await expect(service.delete(foreign, id)).rejects.toEqual(missing);
    await expect(service.test(foreign, id)).rejects.toEqual(missing);
    await expect(service.listDeliveries(foreign, id, newest())).rejects.toEqual(missing);
    expect((await service.list(foreign, query())).rows).toEqual([]);
    expect(await service.get(space, id)).toMatchObject({ id, name: valid.name });
  });

  it.each(['42', 'wh_', 'wh_0', 'wh_01', 'wh_-1', 'wh_1.5', 'WH_1', 'wh_99999999999999999999', 'wh_1 ', "wh_1'"])(
    'T-083 T-077 %s is no webhook',
    async (id) => {
      const service = fixture.service();
      await expect(service.get(space, id)).rejects.toEqual(refusal('NOT_FOUND'));
      await expect(service.update(space, id, {})).rejects.toEqual(refusal('NOT_FOUND'));
      await expect(service.delete(space, id)).rejects.toEqual(refusal('NOT_FOUND'));
    },
  );

  it('T-121 a bad body is refused before a missing webhook', async () => {
    await expect(fixture.service().update(space, 'wh_999', { events: [] })).rejects.toEqual(
      refusal('VALIDATION_ERROR', 'events'),
    );
  });
});
