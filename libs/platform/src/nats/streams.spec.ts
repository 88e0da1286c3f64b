import { freshNats, waitFor, type FreshNats } from '@keyturn/testing';
import { Log } from '../logs';
import { ensureStreams, NatsLink, streams } from '.';

describe('streams', () => {
  let nats: FreshNats;
  let link: NatsLink;

  beforeAll(async () => {
    nats = await freshNats();
    link = new NatsLink({ natsUrl: nats.url }, 'test', Log.create('test', 'silent'));
    await link.whenConnected();
  });
  afterAll(async () => {
    await link.close();
    await nats.stop();
  });

  const infos = async () => {
    const manager = await link.manager();
    return Promise.all(Object.keys(streams).map((name) => manager.streams.info(name)));
  };

  const startAnew = async () => {
    await nats.kill();
    await waitFor('the link to notice', () => !link.connected);
    await nats.restart();
    await waitFor(
      'the link to be back',
      () =>
        link.connected &&
        link
          .connection()
          .flush()
          .then(() => true),
    );
  };

  it('stay the streams they are when they are looked after a second time and the server starts anew', async () => {
    await ensureStreams(link, 1);
    const made = (await infos()).map(({ created }) => created);
    // More than one start: what an update has written down shows a start later.
    for (let start = 0; start < 3; start++) {
      await startAnew();
      await ensureStreams(link, 1);
    }
    expect((await infos()).map(({ created }) => created)).toEqual(made);
  });

  it('are brought to the settings of today', async () => {
    const manager = await link.manager();
    const { config } = await manager.streams.info('EVENTS');
    await manager.streams.update('EVENTS', { ...config, max_age: config.max_age * 2 });
    await ensureStreams(link, 1);
    expect((await manager.streams.info('EVENTS')).config).toEqual(config);
  });
});
