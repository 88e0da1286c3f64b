import { Log } from '@keyturn/platform/logs';
import { newSigningSecret, SigningKey, type Endpoint } from '@keyturn/webhook-store';
import { destinationOf } from '../outbound/destination';
import type { Recipient } from './endpoint-book';
import type { Outgoing } from './outgoing';
import { Sender, type Report } from './sender';

const recipient: Recipient = {
  endpoint: { retryScheduleMs: null, signatureScheme: 'v1', previousSecretUntil: null } as Endpoint,
  destination: destinationOf('https://receiver.example/'),
  keys: [new SigningKey(newSigningSecret())],
  signatureKeys: [],
  headers: [],
};

const delivery: Outgoing = {
  instance: '1',
  id: '7',
  messageId: 'evt_7',
  webhookId: '3',
  spaceId: 'spc_1',
  event: 'file.created',
  body: Buffer.from('{}'),
  committedAt: 0,
  traceparent: undefined,
  attempts: 0,
  attemptsBefore: 0,
  reason: 'first',
  notBefore: 0,
  putOff: false,
};

describe('an attempt', () => {
  it('T-116 that meets a mistake of ours fails like any other: thrown, it would end the process again and again', async () => {
    const mistaken = { post: () => Promise.reject(new TypeError('x is not a function')) };
    const log = Log.create('test', 'silent');
    const sender = new Sender(mistaken, { scheduleMs: [1_000], jitter: false }, 'keyturn.example', log);
    const reports: Report[] = [];
    await sender.send(delivery, recipient, (report) => reports.push(report));
    expect(reports).toMatchObject([
      {
        attempt: { number: 1, status: null, faultClass: 'internal', error: 'the attempt met an unexpected error' },
        decision: { kind: 'retry', inMs: 1_000 },
      },
    ]);
  });
});
