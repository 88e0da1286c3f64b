import { waitFor } from '@keyturn/testing';
import { DispatcherFixture } from '../testing/dispatcher-fixture';
import { HttpReceiver } from '../testing/receiver';

describe('deliveries', () => {
  let system: DispatcherFixture;
  const receivers: HttpReceiver[] = [];
  const receiver = async (...given: Parameters<typeof HttpReceiver.start>) => {
    const started = await HttpReceiver.start(...given);
    receivers.push(started);
    return started;
  };

  beforeEach(async () => {
    system = await DispatcherFixture.open({ WEBHOOK_RETRY_SCHEDULE: '50ms,50ms,50ms', WEBHOOK_TIMEOUT: '500ms' });
  });
  afterEach(async () => {
    await system.close();
    for (const each of receivers.splice(0)) await each.close();
  });

  it('T-107 T-111 go to the subscribers of the Space, with their headers', async () => {
    const mine = await receiver();
    const foreign = await receiver();
    await system.webhook(mine.url);
    await system.webhook(foreign.url, {}, 'spc_2');
    system.dispatcher();
    const event = system.event({ traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' });
    await system.publish(event, system.event({ event: 'file.deleted' }));
    await waitFor('the delivery', () => mine.requests.length === 1);
    const [request] = mine.requests;
    expect(request?.body).toEqual(Buffer.from(event.payload));
    expect(request?.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(event.payload.length),
      'user-agent': 'Keyturn-Webhooks/1',
      'x-webhook-event': 'file.created',
      'x-webhook-id': event.id,
      'x-webhook-attempt': '1',
      'webhook-id': event.id,
      traceparent: expect.stringMatching(
        /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/,
      ) as string,
    });
    await waitFor('the record', async () => (await system.deliveries())[0]?.status === 'success');
    expect(foreign.requests).toEqual([]);
    expect(await system.deliveries()).toMatchObject([{ status: 'success', attempts: 1, code: 200, state: null }]);
  });
});
