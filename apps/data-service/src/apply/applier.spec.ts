import { WriteSide, WriteSideServers } from './write-side.fixture';

let servers: WriteSideServers;
let side: WriteSide;

beforeAll(async () => {
  servers = await WriteSideServers.start();
  await servers.putSpace(1);
  side = await WriteSide.start({ databaseUrl: servers.database.url, natsUrl: servers.nats.url });
});

afterAll(async () => {
  await side?.stop();
  await servers?.stop();
});

it('T-102 T-108 a created file is stored, logged and relayed', async () => {
  await servers.publish({ id: 'a1', type: 'file.created', data: { id: 7, name: 'Seven' } });
  await servers.settled();
  const events = await servers.events();
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({ spaceId: 'spc_1', sequence: 1, event: 'file.created', recordId: 7, changed: [] });
  const [row] = await servers.rows<{ json: string }>('select json from data.file where space_id = 1 and id = 7');
  expect(Buffer.from(events[0]?.payload ?? '').toString()).toBe(
    `{"event":"file.created","data":${row?.json},"timestamp":"2026-03-10T12:00:00.000Z"}`,
  );
});
