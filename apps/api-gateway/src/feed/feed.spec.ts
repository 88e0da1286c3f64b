import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { reply } from '@keyturn/platform/rpc';
import { freshDatabase, freshNats, waitFor, type FreshDatabase, type FreshNats } from '@keyturn/testing';
import { accessTemplate, RunningGateway, StandIn } from '../gateway-fixture';
import { Published } from './published';

describe('the feed', () => {
  let database: FreshDatabase;
  let nats: FreshNats;
  let services: StandIn;
  let gateway: RunningGateway;
  let key: string;
  const looks: number[] = [];

  beforeAll(async () => {
    [database, nats] = await Promise.all([freshDatabase(accessTemplate), freshNats()]);
    services = await StandIn.start(nats.url, {
      'data.space.put': () => reply({}),
      'data.events': ({ request: { after } }) => {
        looks.push(after);
        // A Space in which much happens, and nothing of what is asked for.
        return reply({ events: [], last: after + 1_000, more: false });
      },
    });
    gateway = await RunningGateway.start(database.url, nats.url);
    await gateway.createSpace('busy');
    key = (await gateway.createKey('busy')).key;
  });
  afterAll(async () => {
    await gateway.close();
    await services.close();
    await nats.stop();
    await database.drop();
  });

  it('a long poll passes each event once, and hands out the place it has come to', async () => {
    const feed = async (query: string) => {
      const response = await fetch(`${gateway.url}/api/v1/events?${query}`, { headers: { 'x-api-key': key } });
      return (await response.json()) as { pagination: { nextCursor: string } };
    };
    const { pagination } = await feed('types=note.deleted&wait=2');
    expect(looks.length).toBeGreaterThan(1);
    expect(looks).toEqual(looks.map((_, n) => n * 1_000));
    const passed = looks.length * 1_000;
    await feed(`after=${encodeURIComponent(pagination.nextCursor)}`);
    expect(looks.at(-1)).toBe(passed);
  });

  it('a Space is subscribed to once, however many wait for it, and no longer than they do', async () => {
    const link = new NatsLink({ natsUrl: nats.url }, 'test', Log.create('test', 'silent'));
    const connection = await link.whenConnected();
    const subscribe = jest.spyOn(connection, 'subscribe');
    const published = new Published(link);
    const heard: string[] = [];
    const stops = ['a', 'b'].map((name) => published.hear('spc_7', () => heard.push(name)));
    expect(subscribe).toHaveBeenCalledTimes(1);
    await connection.flush();
    connection.publish('events.spc_7.file.created');
    await waitFor('both to hear of it', () => heard.length === 2);
    expect(heard).toEqual(['a', 'b']);
    for (const stop of stops) stop();
    expect((subscribe.mock.results[0]?.value as { isClosed(): boolean }).isClosed()).toBe(true);
    published.hear('spc_7', () => heard.push('again'))();
    expect(subscribe).toHaveBeenCalledTimes(2);
    await link.close();
  });
});
