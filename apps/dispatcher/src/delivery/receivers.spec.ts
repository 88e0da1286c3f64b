import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import {
  completeRecord,
  eventNames,
  maxPayloadBytes,
  parseDomainEvent,
  Rejection,
  representation,
  webhookPayload,
  type Field,
} from '@keyturn/contracts';
import { waitFor } from '@keyturn/testing';
import express from 'express';
import { Webhook } from 'standardwebhooks';
import { DispatcherFixture } from '../testing/dispatcher.fixture';

/** The verifier of the documentation, as it stands there. */
function verifyWebhookSignature(payload: string, signature: string, secret: string) {
  const expected = createHmac('sha256', secret).update(payload).digest('hex');
  return timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

const nastyTexts = [
  'Zoë "the closer" O\'Neil \\ </script> / 100%',
  '🏡👨‍👩‍👧‍👦 e\u0301 \u202Eright to left\u202C \uFEFF \u2028 \u2029',
  '\u0001\u001f\u007f\b\f\n\r\t',
  '__proto__',
  'constructor',
  '{"event":"fake"}',
  '\uD83D\uDE00'.repeat(50),
  '１２３ ٣ ⅷ',
  ' leading and trailing ',
  '',
];
const nastyNumbers = [0, -0, 0.1, 1e-7, 1e20 / 1e5, 1234567.89, -42, Number.MAX_SAFE_INTEGER, 5e-324, 350000.1];

function nastyValue(field: Field, seed: number): unknown {
  switch (field.kind) {
    case 'id':
      return Number.MAX_SAFE_INTEGER - seed;
    case 'integer':
      return seed % 2 ? -seed : Number.MAX_SAFE_INTEGER;
    case 'number':
      return nastyNumbers[seed % nastyNumbers.length];
    case 'string':
    case 'text':
      return nastyTexts[seed % nastyTexts.length];
    case 'boolean':
      return seed % 2 === 0;
    case 'date':
      return '2028-02-29';
    case 'datetime':
      return '2026-12-31T23:59:59.9999+14:00';
    case 'strings':
      return nastyTexts;
    case 'enum':
      return field.values?.[seed % (field.values.length || 1)] ?? null;
  }
}

/** The payload as data-service writes it for a record full of traps. */
function nastyPayload(event: string, seed: number, filler = ''): { payload: Buffer; recordId: number } {
  const [name = '', action = ''] = event.split('.');
  const probe = parse(event, name, action, { id: 1 });
  const data: Record<string, unknown> = {};
  Object.entries(probe.resource.fields).forEach(([field, definition], index) => {
    if (!definition.derived) data[field] = nastyValue(definition, seed + index);
  });
  const id = Number.MAX_SAFE_INTEGER - seed;
  const text = Object.entries(probe.resource.fields).find(([, field]) => field.kind === 'text' && !field.derived)?.[0];
  if (filler && text) data[text] = filler;
  // What `deleted` shows is the record's last state, which an update had brought.
  const domain = parse(event, name, action === 'deleted' ? 'updated' : action, { ...data, id });
  const json = representation(domain.resource, completeRecord(domain, null));
  return { payload: Buffer.from(webhookPayload(event, json, domain.time), 'utf8'), recordId: id };
}

function parse(event: string, name: string, action: string, data: object) {
  const envelope = {
    specversion: '1.0',
    id: '1',
    source: '/tests',
    type: `${name}.${action}`,
    spaceid: 'spc_1',
    time: '2026-03-10T12:00:00.000Z',
    data,
  };
  const parsed = parseDomainEvent(`domain.spc_1.${name}.${action}`, Buffer.from(JSON.stringify(envelope)));
  if (parsed instanceof Rejection) throw new Error(`${event}: ${parsed.reason}`);
  return parsed;
}

describe('receivers that verify', () => {
  let system: DispatcherFixture;
  let server: Server | undefined;
  beforeEach(async () => {
    system = await DispatcherFixture.open({ WEBHOOK_RETRY_SCHEDULE: '60s' });
  });
  afterEach(async () => {
    await system.close();
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  });

  async function listen(app: express.Express): Promise<string> {
    await new Promise<void>((resolve) => (server = app.listen(0, '127.0.0.1', () => resolve())));
    return `http://127.0.0.1:${(server?.address() as AddressInfo).port}/webhooks/tc-northwest`;
  }

  it('T-109 T-110 the documented Express handler accepts every event with the nastiest data, up to the size limit', async () => {
    const app = express();
    let secret = '';
    const accepted: unknown[] = [];
    app.use(express.json());
    app.post('/webhooks/tc-northwest', (req, res) => {
      const signature = req.headers['x-webhook-signature'] as string;
      const isValid = verifyWebhookSignature(JSON.stringify(req.body), signature, secret);
      if (!isValid) {
        res.status(401).send('Invalid signature');
        return;
      }
      accepted.push(req.body);
      res.status(200).send('OK');
    });
    const webhook = await system.webhook(await listen(app), { events: [...eventNames] });
    secret = webhook.secret;
    system.dispatcher();
    const events = eventNames.flatMap((event) =>
      nastyTexts.map((_, seed) => system.event({ event, ...nastyPayload(event, seed) })),
    );
    const overhead = nastyPayload('note.created', 1, 'x').payload.length - 1;
    const largest = nastyPayload('note.created', 1, 'x'.repeat(maxPayloadBytes - overhead));
    expect(largest.payload.length).toBe(maxPayloadBytes);
    events.push(system.event({ event: 'note.created', ...largest }));
    await system.publish(...events);
    await waitFor('an attempt of each', async () => (await system.attempts()).length === events.length, 20_000);
    const refused = (await system.deliveries()).filter(({ status }) => status !== 'success');
    expect(refused).toEqual([]);
    expect(accepted).toHaveLength(events.length);
    expect(Object.keys(accepted[0] as object)).toEqual(['event', 'data', 'timestamp']);
  });

  it('T-111 the library of Standard Webhooks accepts every event, and each retry by its own time', async () => {
    const app = express();
    const verifiers: Webhook[] = [];
    const seen = new Map<string, number>();
    app.use(express.raw({ type: '*/*', limit: '1mb' }));
    app.post('/webhooks/tc-northwest', (req, res) => {
      try {
        verifiers[0]?.verify(req.body as Buffer, req.headers as Record<string, string>);
      } catch (error) {
        res.status(401).send(String(error));
        return;
      }
      const id = String(req.headers['webhook-id']);
      const attempts = (seen.get(id) ?? 0) + 1;
      seen.set(id, attempts);
      res.status(attempts === 1 ? 500 : 200).end();
    });
    const webhook = await system.webhook(await listen(app), { events: [...eventNames], retryScheduleMs: [20] });
    verifiers.push(new Webhook(webhook.secret));
    system.dispatcher();
    await system.publish(...eventNames.map((event, seed) => system.event({ event, ...nastyPayload(event, seed) })));
    await waitFor(
      'two attempts of each',
      async () => (await system.deliveries()).filter(({ attempts }) => attempts === 2).length === eventNames.length,
    );
    expect((await system.attempts()).filter(({ code }) => code === 401)).toEqual([]);
    expect((await system.deliveries()).every(({ status }) => status === 'success')).toBe(true);
    expect(seen.size).toBe(22);
  });
});
