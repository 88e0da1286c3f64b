import type { ApiError, ListQuery } from '@keyturn/contracts';
import { waitFor } from '@keyturn/testing';
import { WebhookServiceFixture } from '../webhooks/webhooks.fixture';

const day = 24 * 60 * 60 * 1_000;
const ago = (ms: number) => new Date(Date.now() - ms).toISOString();
const valid = { name: 'CRM', url: 'https://your-app.com/', events: ['file.*'] };

describe('replays of a webhook', () => {
  let fixture: WebhookServiceFixture;
  beforeAll(async () => {
    fixture = await WebhookServiceFixture.open();
  });
  afterAll(() => fixture.close());

  let spaces = 0;
  let space: string;
  beforeEach(() => {
    space = `spc_${++spaces}`;
  });

  it.each([
    ['no body', null, 'body'],
    ['no since', {}, 'since'],
    ['a day for a moment', { since: '2026-03-10' }, 'since'],
    ['what is forgotten', { since: ago(31 * day) }, 'since'],
    ['until before since', { since: ago(day), until: ago(2 * day) }, 'until'],
    ['no events', { since: ago(day), events: [] }, 'events'],
    ['an unknown event', { since: ago(day), events: ['file.renamed'] }, 'events'],
    ['an event about webhooks', { since: ago(day), events: ['webhook.disabled'] }, 'events'],
    ['an unknown choice', { since: ago(day), status: 'success' }, 'status'],
    ['no rate', { since: ago(day), ratePerSecond: 0 }, 'ratePerSecond'],
    ['an unsafe URL', { since: ago(day), url: 'https://127.0.0.1/' }, 'url'],
    ['a text for dryRun', { since: ago(day), dryRun: 'true' }, 'dryRun'],
    ['an unknown field', { since: ago(day), pace: 1 }, 'pace'],
  ])('refuses %s and names the field', async (_what, input, field) => {
    const { id } = await fixture.service().create(space, valid);
    const error = await fixture
      .replays()
      .create(space, id, input)
      .catch((thrown: unknown) => thrown as ApiError);
    expect(error).toMatchObject({ code: 'VALIDATION_ERROR', options: { field } });
  });

  it('a dry run answers with its count and sends nothing', async () => {
    fixture.event(space);
    const { id } = await fixture.service().create(space, valid);
    fixture.event(space, { event: 'note.created' });
    const input = { since: ago(day), status: 'missed', dryRun: true };
    expect(await fixture.replays().create(space, id, input)).toMatchObject({
      webhookId: id,
      status: 'done',
      dryRun: true,
      matched: 1,
      deliveries: { pending: 0, success: 0 },
    });
  });

  it('brings what was missed, from the log, and tells the dispatchers', async () => {
    const missed = Array.from({ length: 450 }, () => fixture.event(space));
    const { id } = await fixture.service().create(space, valid);
    const replays = fixture.replays();
    const replay = await replays.create(space, id, { since: ago(day), status: 'missed' });
    expect(replay).toMatchObject({ status: 'running', ratePerSecond: null, url: null, events: null });
    await waitFor('all pages', async () => (await replays.get(space, id, replay.id)).matched === 450);
    expect(fixture.hinted).toContain(id);
    const instance = await fixture.dispatch.register(60_000);
    const claimed = await fixture.dispatch.claim(instance, { total: 500, perEndpoint: 500, ofEndpoint: new Map() });
    expect(claimed.map(({ messageId }) => messageId)).toEqual(missed.map((event) => event.id));
    expect(claimed[7]?.payload).toEqual(missed[7]?.payload);
    expect(await replays.cancel(space, id, replay.id)).toMatchObject({ status: 'cancelled' });
  });

  it('is listed newest first, and seen by its own webhook and Space only', async () => {
    const { id } = await fixture.service().create(space, valid);
    const other = await fixture.service().create(space, valid);
    const replays = fixture.replays();
    const input = { since: ago(day), dryRun: true };
    const first = await replays.create(space, id, input);
    const second = await replays.create(space, id, input);
    const query: ListQuery = {
      filters: [],
      search: [],
      sort: 'id',
      order: 'desc',
      pageSize: 25,
      window: { page: 1 },
      fields: null,
    };
    const { head, rows } = await replays.list(space, id, query);
    expect(head.total).toBe(2);
    expect(rows).toEqual([second, first]);
    const missing = { code: 'NOT_FOUND' };
    await expect(replays.get(space, other.id, first.id)).rejects.toMatchObject(missing);
    await expect(replays.get('spc_900', id, first.id)).rejects.toMatchObject(missing);
    await expect(replays.cancel('spc_900', id, first.id)).rejects.toMatchObject(missing);
    await expect(replays.create('spc_900', id, input)).rejects.toMatchObject(missing);
    await expect(replays.list('spc_900', id, query)).rejects.toMatchObject(missing);
    await expect(replays.get(space, id, 'rpl_0')).rejects.toMatchObject(missing);
  });

  it('sends nothing to a webhook that is off', async () => {
    const { id } = await fixture.service().create(space, { ...valid, isActive: false });
    await expect(fixture.replays().create(space, id, { since: ago(day) })).rejects.toMatchObject({ code: 'CONFLICT' });
  });
});
