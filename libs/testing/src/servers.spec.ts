import { connect } from 'nats';
import { type FreshNats, freshDatabase, freshNats, onDatabase } from './index';

describe('a fresh database', () => {
  it('is a copy of the template, apart from every other', async () => {
    let migrations = 0;
    const template = {
      name: 'apart',
      migrate: async (url: string): Promise<void> => {
        migrations += 1;
        await query(url, 'create table thing (id int)');
      },
    };
    const [one, other] = await Promise.all([freshDatabase(template), freshDatabase(template)]);
    await query(one.url, 'insert into thing values (1)');
    expect(await query(one.url, 'select id from thing')).toEqual([{ id: 1 }]);
    expect(await query(other.url, 'select id from thing')).toEqual([]);
    expect(migrations).toBe(1);
    await Promise.all([one.drop(), other.drop()]);
  });

  it('folds the case of every script, and has the extensions that search needs', async () => {
    const fresh = await freshDatabase();
    expect(await query(fresh.url, `select lower('ÄÖÉ') as folded`)).toEqual([{ folded: 'äöé' }]);
    await query(fresh.url, 'create extension pg_trgm');
    await query(fresh.url, 'create extension btree_gin');
    await fresh.drop();
  });
});

describe('a fresh NATS', () => {
  let nats: FreshNats;
  beforeAll(async () => {
    nats = await freshNats();
  });
  afterAll(() => nats.stop());

  it('keeps what JetStream has taken through a kill', async () => {
    const before = await connect({ servers: nats.url });
    await (await before.jetstreamManager()).streams.add({ name: 'KEPT', subjects: ['kept.>'] });
    await before.jetstream().publish('kept.one');
    await before.close();
    await nats.kill();
    await nats.restart();
    const after = await connect({ servers: nats.url });
    const info = await (await after.jetstreamManager()).streams.info('KEPT');
    expect(info.state.messages).toBe(1);
    await after.close();
  });
});

const query = (url: string, text: string): Promise<unknown[]> =>
  onDatabase(url, async (client) => (await client.query(text)).rows);
