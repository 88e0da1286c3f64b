import { HttpSink } from './index';

describe('the HTTP sink', () => {
  let sink: HttpSink;
  beforeEach(async () => {
    sink = await HttpSink.start();
  });
  afterEach(() => sink.stop());

  const post = (path: string, body: string): Promise<Response> => fetch(sink.url(path), { method: 'POST', body });

  it('keeps what it is sent, byte for byte', async () => {
    await post('/hook?x=1', '{"ä": 1}\n');
    const [request] = await sink.received(1);
    expect(request).toMatchObject({ method: 'POST', path: '/hook?x=1', body: Buffer.from('{"ä": 1}\n') });
  });

  it('answers by script, each request in its turn', async () => {
    sink.answer((_, index) => (index === 0 ? { status: 503, headers: { 'retry-after': '1' } } : { body: 'taken' }));
    const first = await post('/', '1');
    const second = await post('/', '2');
    expect([first.status, first.headers.get('retry-after')]).toEqual([503, '1']);
    expect([second.status, await second.text()]).toEqual([200, 'taken']);
  });

  it('hangs and resets', async () => {
    sink.answer((_, index) => (index === 0 ? { reset: true } : { hang: true }));
    await expect(post('/', '1')).rejects.toThrow('fetch failed');
    const hanging = post('/', '2');
    await sink.received(2);
    await sink.stop();
    await expect(hanging).rejects.toThrow('fetch failed');
    sink = await HttpSink.start();
  });
});
