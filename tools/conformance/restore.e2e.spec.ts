import { onDatabase, OwnPostgres, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** Postgres is set back to a backup under the running system; NATS knows more than it from then on. */
describe('a restore of Postgres to an earlier moment', () => {
  let postgres: OwnPostgres;
  let system: TestSystem;
  let receivers: Receivers;
  let space: TestSpace;

  beforeAll(async () => {
    postgres = await OwnPostgres.start();
    system = await startSystem({
      // Beyond the first attempt only what the test itself makes due.
      env: { WEBHOOK_RETRY_SCHEDULE: '2s,2s,2s,2s,2s,2s,2s,2s', WEBHOOK_RETRY_JITTER: 'false' },
    });
    receivers = await Receivers.start();
    space = await TestSpace.make(system);
    for (const path of ['/good', '/down']) await space.subscribe(receivers.url(path), ['task.created', 'task.updated']);
  }, 90_000);

  afterAll(async () => {
    await receivers?.stop();
    await system?.stop();
    await postgres?.stop();
  });

  const rows = <R extends object>(sql: string): Promise<R[]> =>
    onDatabase(system.databaseUrl, async (client) => (await client.query<R>(sql)).rows);
  const log = () =>
    rows<{ id: string; sequence: string; event_id: string; event: string; payload: string }>(
      'select id, sequence, event_id, event, payload from data.event_log order by id',
    );
  /** `webhook-id`s that a path has been sent, in order. */
  const idsAt = (path: string) => receivers.requests(path).map(({ headers }) => String(headers['webhook-id']));
  const task = (id: number, title: string, type = 'task.created') => ({ type, data: { id, title } });

  it('rewinds the position by itself; what was after it is applied once more under the same ids, and no delivery is lost', async () => {
    await space.publish([task(1, 'before'), task(2, 'before')]);
    const settled = (count: number) => async () => {
      const [done] = await rows<{ done: string }>(
        `select count(*) as done from webhooks.delivery d join webhooks.endpoint e on e.id = d.endpoint_id
         where e.name = '/good' and d.status = 'success'`,
      );
      return Number(done?.done) === count;
    };
    await receivers.received('/down', 2);
    await waitFor('deliveries to be in the database', settled(2));
    const notedAt = async () =>
      (await rows<{ at: string }>('select noted_at::text as at from webhooks.intake'))[0]?.at ?? '';
    const backup = await postgres.backup();

    receivers.script('/down', { status: 500 });
    await space.publish([task(3, 'after'), task(1, 'changed after', 'task.updated'), task(4, 'after')]);
    await waitFor('deliveries to be in the database', settled(5));
    await waitFor('the other endpoint to have refused', () => idsAt('/down').length >= 5);
    const before = await log();
    expect(before.map(({ event }) => event)).toHaveLength(5);
    const noted = await notedAt();
    await waitFor('dispatchers to note how far they are', async () => (await notedAt()) > noted);

    await postgres.restore(backup);
    // Nobody has told anybody: services find their way back to the database, and the position is where the backup has it.
    await waitFor(
      'everything to be ready again',
      async () => {
        const answers = await Promise.all(
          (['api-gateway', 'data-service', 'webhook-service', 'dispatcher'] as const).map((name) =>
            fetch(`${system.managementUrl(name)}/readyz`),
          ),
        );
        return answers.every(({ status }) => status === 200);
      },
      30_000,
    );
    await system.applied(30_000);
    expect(await log()).toEqual(before);
    expect((await space.door.get('/api/v1/tasks?sort=id')).json).toMatchObject({
      data: [{ id: 1, title: 'changed after' }, { id: 2, title: 'before' }, { id: 3 }, { id: 4 }],
      pagination: { total: 4 },
    });

    receivers.script('/down', { status: 200 });
    const lost = before.slice(2).map(({ event_id }) => event_id);
    await waitFor('what the backup did not know to be delivered again', async () => settled(5)(), 60_000);
    // Of what the backup knew as delivered nothing was sent again; of the rest the same ids as the first time.
    expect(idsAt('/good').sort()).toEqual([...before.map(({ event_id }) => event_id), ...lost].sort());
    await waitFor(
      'the endpoint that was down to have everything',
      async () => {
        const [state] = await rows<{ done: string; messages: string }>(
          `select count(*) as done, count(distinct message_id) as messages
         from webhooks.delivery d join webhooks.endpoint e on e.id = d.endpoint_id
         where e.name = '/down' and d.status = 'success'`,
        );
        return state?.done === '5' && state.messages === '5';
      },
      60_000,
    );

    await space.publish([task(5, 'later')]);
    await waitFor(
      'the system to go on',
      () => new Set(idsAt('/good')).size === 6 && new Set(idsAt('/down')).size === 6,
    );
    expect((await log()).map(({ sequence }) => sequence)).toEqual(['1', '2', '3', '4', '5', '6']);
  }, 180_000);

  it('is found out by dispatchers too that were not there when it happened', async () => {
    const backup = await postgres.backup();
    await space.publish([task(10, 'forgotten')]);
    const forgotten = (await log()).at(-1)?.event_id ?? '';
    const times = () => idsAt('/good').filter((id) => id === forgotten).length;
    await waitFor('its first delivery', () => times() === 1);
    await system.terminate('dispatcher');
    await postgres.restore(backup);
    // A backup that somebody takes out of a store is never so young as this one.
    await waitFor('the database', async () => {
      await rows(`update webhooks.intake set noted_at = noted_at - interval '1 hour'`);
      return true;
    });
    await system.applied(30_000);
    expect(times()).toBe(1);
    await system.startInstance('dispatcher');
    await waitFor('the delivery that the backup did not know', () => times() === 2, 30_000);
    expect((await space.door.get('/api/v1/tasks/10')).status).toBe(200);
  }, 120_000);
});
