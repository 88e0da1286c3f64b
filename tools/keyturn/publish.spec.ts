import { connect, type NatsConnection } from 'nats';
import { Log } from '@keyturn/platform/logs';
import { ensureStreams, NatsLink } from '@keyturn/platform/nats';
import { type FreshNats, freshNats } from '@keyturn/testing';
import { type Outgoing, publishAll, PublishError } from './publish';

describe('publishing many messages', () => {
  let nats: FreshNats;
  let connection: NatsConnection;

  beforeAll(async () => {
    nats = await freshNats();
    connection = await connect({ servers: nats.url });
  });

  afterAll(async () => {
    await connection?.close();
    await nats?.stop();
  });

  const message = (n: number, subject = 'domain.spc_1.file.created'): Outgoing => ({
    subject,
    messageId: `/t|${n}`,
    body: Buffer.from(`{"n":${n}}`),
  });

  it('says what to do where there is no stream', async () => {
    await expect(publishAll(connection, [message(1)])).rejects.toThrow(/took 0 events .* run "migrate" first/);
  });

  it('keeps their order, bounds how many are under way, and counts repeats', async () => {
    const link = new NatsLink({ natsUrl: nats.url }, 'test', Log.create('test', 'silent'));
    await link.whenConnected();
    await ensureStreams(link, 1);
    let given = 0;
    let widest = 0;
    let accepted = 0;
    function* some(): Generator<Outgoing> {
      for (let n = 0; n < 5_000; n++) {
        given++;
        widest = Math.max(widest, given - accepted);
        yield message(n);
      }
    }
    const report = await publishAll(connection, some(), (sofar) => (accepted = sofar.accepted));
    expect(report).toEqual({ accepted: 5_000, duplicates: 0, lastSequence: 5_000 });
    expect(widest).toBeLessThanOrEqual(1_025);
    const manager = await link.manager();
    const stored = await manager.streams.getMessage('DOMAIN', { seq: 4_321 });
    expect(Buffer.from(stored.data).toString()).toBe('{"n":4320}');
    const again = await publishAll(connection, [message(7), message(5_000)]);
    expect(again).toEqual({ accepted: 2, duplicates: 1, lastSequence: 5_001 });
    await link.close();
  });

  it('stops at the first refusal, with what was taken before', async () => {
    const link = new NatsLink({ natsUrl: nats.url }, 'test', Log.create('test', 'silent'));
    await link.whenConnected();
    const manager = await link.manager();
    await manager.streams.update('BACKFILL', { max_msgs: 10 });
    const many = Array.from({ length: 20_000 }, (_, n) => message(n, 'backfill.spc_1.file.created'));
    const refused = await publishAll(connection, many).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(PublishError);
    expect((refused as PublishError).report.accepted).toBe(10);
    expect((refused as PublishError).message).toContain('maximum messages exceeded');
    await link.close();
  });
});
