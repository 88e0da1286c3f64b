import type { WebhookAudit, WebhookBalance } from '@keyturn/contracts';
import { onDatabase, startSystem, type TestSystem, waitFor } from '@keyturn/testing';
import { captureCommandLine } from '../keyturn/capture';
import { Receivers } from './receivers';
import { TestSpace } from './space';

jest.setTimeout(120_000);

const settings = { WEBHOOK_RETRY_SCHEDULE: '100ms,100ms', WEBHOOK_RETRY_JITTER: 'false' };

describe('the balance of a live system', () => {
  let system: TestSystem;
  let receivers: Receivers;
  let space: TestSpace;

  beforeAll(async () => {
    [system, receivers] = await Promise.all([startSystem({ dispatchers: 2, env: settings }), Receivers.start()]);
    space = await TestSpace.make(system);
  });
  afterAll(async () => {
    await system?.stop();
    await receivers?.stop();
  });

  async function audit(): Promise<{ code: number; err: string; report: WebhookAudit }> {
    const line = ['webhooks', 'audit', '--space', space.slug, '--json'];
    const { code, out, err } = await captureCommandLine(line, { env: system.adminEnv });
    return { code, err, report: JSON.parse(out) as WebhookAudit };
  }

  const webhook = async (name: string, more: object = {}) =>
    (await space.subscribe(receivers.url(`/${name}`), ['file.created'], { name, ...more })).id;

  let nextId = 1;
  const publish = (count: number) =>
    space.publish(
      Array.from({ length: count }, () => ({ type: 'file.created', data: { id: nextId, listPrice: nextId++ } })),
    );

  const balanceOf = (report: WebhookAudit, id: string) =>
    report.webhooks.find(({ webhookId }) => webhookId === id) as WebhookBalance;

  it('T-114 holds through pause, failure, filter, deletion and replay, and names the webhook that lost a delivery', async () => {
    receivers.script('/failing', { status: 500 });
    const steady = await webhook('steady');
    const paused = await webhook('paused');
    const failing = await webhook('failing');
    const filtered = await webhook('filtered', {
      filter: { file: [{ field: 'listPrice', operator: 'gt', value: 20 }] },
    });
    const removed = await webhook('removed');
    const left = await webhook('left');
    await space.door.post(`/api/v1/webhooks/${paused}/pause`, {});
    await publish(20);
    await space.door.delete(`/api/v1/webhooks/${removed}`);
    await space.door.patch(`/api/v1/webhooks/${left}`, { isActive: false });
    await publish(20);

    const counts = { steady: [40, 40, 0, 0], paused: [40, 0, 40, 0], failing: [40, 0, 0, 40] };
    const ids = { steady, paused, failing };
    const settled = async () => {
      const { report } = await audit();
      for (const [name, [owed, delivered, waiting, failed]] of Object.entries(counts)) {
        const row = balanceOf(report, ids[name as keyof typeof ids]);
        if (row.owed !== owed || row.delivered !== delivered || row.waiting !== waiting || row.failed !== failed)
          return undefined;
      }
      return balanceOf(report, filtered).delivered === 20 ? report : undefined;
    };
    const before = await waitFor('everything to have ended as it must', settled, 60_000);
    expect(before.balanced).toBe(true);
    expect(balanceOf(before, filtered)).toMatchObject({ owed: 20, missing: 0 });
    expect(balanceOf(before, removed)).toBeUndefined();
    expect(balanceOf(before, left)).toMatchObject({ owed: 20, missing: 0 });

    receivers.script('/failing', {});
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const replay = { since, status: 'failed' };
    expect((await space.door.post(`/api/v1/webhooks/${failing}/replays`, replay)).status).toBe(201);
    counts.failing = [40, 40, 0, 0];
    expect((await waitFor('the replay', settled, 60_000)).balanced).toBe(true);
    expect(await audit()).toMatchObject({ code: 0, err: '' });

    const lost = await onDatabase(system.databaseUrl, (sql) =>
      sql.query<{ message_id: string }>(
        `delete from webhooks.delivery where endpoint_id = $1 and id in
           (select max(id) from webhooks.delivery where endpoint_id = $1) returning message_id`,
        [steady.slice('wh_'.length)],
      ),
    );
    const after = await audit();
    expect(after.code).toBe(1);
    expect(after.report.balanced).toBe(false);
    expect(after.report.webhooks.filter(({ missing }) => missing > 0)).toEqual([
      expect.objectContaining({
        webhookId: steady,
        owed: 40,
        delivered: 39,
        missing: 1,
        examples: [lost.rows[0]?.message_id],
      }),
    ]);
    expect(JSON.parse(after.err)).toEqual({
      error: { code: 'NOT_BALANCED', message: expect.stringContaining(`${steady} "steady": 1 of 40`) as string },
    });
  });

  it('T-114 what the dispatchers have not taken in yet is on its way, not lost', async () => {
    await Promise.all(['dispatcher', 'dispatcher#2'].map((name) => system.kill(name as 'dispatcher')));
    const fresh = await webhook('fresh');
    await publish(5);
    const { report } = await audit();
    expect(balanceOf(report, fresh)).toMatchObject({ owed: 5, waiting: 5, missing: 0, stuck: 0 });
    await system.startInstance('dispatcher');
    await waitFor('all of them', async () => balanceOf((await audit()).report, fresh).delivered === 5, 30_000);
  });
});
