import { Metrics } from '../metrics';
import { Drain } from './drain';
import { Health } from './health';
import { ManagementServer } from './management-server';

describe('management server', () => {
  let drain: Drain;
  let server: ManagementServer;
  let url: string;
  let postgres: () => Promise<void>;

  beforeEach(async () => {
    drain = new Drain();
    const health = new Health(drain);
    postgres = () => Promise.resolve();
    health.add('postgres', () => postgres());
    health.add('nats', () => Promise.resolve());
    server = new ManagementServer(health, new Metrics('a-service'));
    url = await server.listen(0, '127.0.0.1');
  });

  afterEach(() => server.close());

  const get = async (path: string) => {
    const response = await fetch(`${url}${path}`);
    return { status: response.status, body: (await response.json()) as unknown };
  };

  it('is ready while every check passes', async () => {
    expect(await get('/readyz')).toEqual({
      status: 200,
      body: { status: 'ok', checks: { postgres: 'ok', nats: 'ok' } },
    });
  });

  it('is unready, and alive, while a dependency is down', async () => {
    postgres = () => Promise.reject(new Error('connection refused'));
    expect(await get('/readyz')).toEqual({
      status: 503,
      body: { status: 'unavailable', checks: { postgres: 'connection refused', nats: 'ok' } },
    });
    expect((await get('/livez')).status).toBe(200);
  });

  it('leaves out the checks that the caller excludes', async () => {
    postgres = () => Promise.reject(new Error('connection refused'));
    expect(await get('/readyz?exclude=postgres&exclude=nats')).toEqual({
      status: 200,
      body: { status: 'ok', checks: {} },
    });
  });

  it('is unready from the beginning of a drain, whatever is excluded', async () => {
    drain.begin();
    expect(await get('/readyz?exclude=shutdown')).toMatchObject({
      status: 503,
      body: { checks: { shutdown: 'draining' } },
    });
    expect((await get('/livez')).status).toBe(200);
  });

  it('answers only reads, and only what it knows', async () => {
    expect((await fetch(`${url}/readyz`, { method: 'POST' })).status).toBe(405);
    expect((await get('/nothing')).status).toBe(404);
  });
});
