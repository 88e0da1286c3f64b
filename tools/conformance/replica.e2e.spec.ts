import { Client } from 'pg';
import { OwnPostgres, type PostgresServer, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { Receivers } from './receivers';
import { TestSpace } from './space';

/** A whole system whose reads go to a streaming replica (ADR 018). */
describe('reads from a replica', () => {
  let postgres: OwnPostgres;
  let standby: PostgresServer;
  let replica: Client;
  let system: TestSystem;
  let receivers: Receivers;
  let space: TestSpace;

  beforeAll(async () => {
    postgres = await OwnPostgres.start();
    system = await startSystem();
    standby = await postgres.replicate();
    const url = new URL(system.databaseUrl);
    url.port = String(standby.port);
    replica = new Client({ connectionString: url.href });
    replica.on('error', () => undefined);
    await replica.connect();
    await system.terminate('data-service');
    await system.startInstance('data-service', { DATABASE_READ_URL: url.href });
    receivers = await Receivers.start();
    space = await TestSpace.make(system);
  }, 90_000);

  afterAll(async () => {
    await receivers?.stop();
    await replica?.end().catch(() => undefined);
    await system?.stop();
    await postgres?.stop();
  });

  const outcomes = async () => {
    const text = await (await fetch(`${system.managementUrl('data-service')}/metrics`)).text();
    const of = (outcome: string) =>
      Number(new RegExp(`^data_replica_reads_total{outcome="${outcome}".*} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
    return { served: of('served'), behind: of('behind'), unused: of('unused') };
  };
  const titleOf = async (id: number) => {
    const { status, json } = await space.door.get(`/api/v1/tasks/${id}`);
    return status === 200 ? (json.data as { title: string }).title : status;
  };

  it('DESIGN §4 whoever is told of a change by a webhook reads that change, although the replica stands still', async () => {
    const read: { told: string; shown: unknown }[] = [];
    receivers.script('/told', async ({ body }) => {
      const { data } = JSON.parse(body.toString()) as { data: { id: number; title: string } };
      read.push({ told: data.title, shown: await titleOf(data.id) });
      return { status: 200 };
    });
    await space.subscribe(receivers.url('/told'), ['task.created', 'task.updated']);
    await space.publish([{ type: 'task.created', data: { id: 1, title: 'before' } }]);
    await waitFor('a read that the replica answers', async () => {
      await titleOf(1);
      return (await outcomes()).served > 0;
    });
    await replica.query('select pg_wal_replay_pause()');
    try {
      for (let n = 1; n <= 10; n++)
        await system.publish(space.id, [
          { type: 'task.updated', data: { id: 1, title: `change ${n}` } },
          { type: 'task.created', data: { id: 100 + n, title: `new ${n}` } },
        ]);
      await receivers.received('/told', 21);
      await waitFor('every receiver to have read', () => read.length === 21);
      for (const { told, shown } of read.filter((one) => one.told.startsWith('new'))) expect(shown).toBe(told);
      // A later change may already have come; an earlier state may not.
      const number = (title: unknown) => Number(/^change (\d+)$/.exec(String(title))?.[1]);
      for (const { told, shown } of read.filter((one) => one.told.startsWith('change')))
        expect(number(shown)).toBeGreaterThanOrEqual(number(told));
      const { behind, unused } = await outcomes();
      expect(behind + unused).toBeGreaterThanOrEqual(20);
    } finally {
      await replica.query('select pg_wal_replay_resume()');
    }
    const { served } = await outcomes();
    await waitFor('reads to go back to the replica', async () => {
      expect(await titleOf(1)).toBe('change 10');
      return (await outcomes()).served > served;
    });
  });

  it('nobody notices that the replica dies', async () => {
    await standby.stopAtOnce();
    for (let n = 0; n < 20; n++) expect(await titleOf(1)).toBe('change 10');
    expect((await space.door.page('/api/v1/tasks?sort=id')).pagination.total).toBe(11);
  });
});
