import { createHmac, timingSafeEqual } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { SigningKey, newSigningSecret, signatureHeaders } from './signature';

const body = Buffer.from(
  '{"event":"file.created","data":{"name":"Zoë \\"/\\" 🏡"},"timestamp":"2026-03-10T12:00:00.000Z"}',
);
const timestamp = () => Math.floor(Date.now() / 1000);
const id = 'evt_01JNZ8Q4W3V5X7Y9A1B3C5D7E9';

/** The function of the documentation's sample, as it stands there. */
function verifyWebhookSignature(payload: string, signature: string, secret: string) {
  const expected = createHmac('sha256', secret).update(payload).digest('hex');
  return timingSafeEqual(Buffer.from(signature), Buffer.from(expected));
}

describe('signatures', () => {
  it('T-084 secrets are whsec_ and base64 of 32 bytes', () => {
    const secret = newSigningSecret();
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    expect(newSigningSecret()).not.toBe(secret);
  });

  it('T-109 X-Webhook-Signature is what the documented verifier computes', () => {
    const secret = newSigningSecret();
    const headers = signatureHeaders({ id, timestamp: timestamp(), body }, [new SigningKey(secret)]);
    expect(headers['x-webhook-signature']).toMatch(/^[0-9a-f]{64}$/);
    expect(verifyWebhookSignature(body.toString(), headers['x-webhook-signature'], secret)).toBe(true);
  });

  it('T-111 the Standard Webhooks headers pass its own library and that of Svix, during a rotation with either secret', () => {
    const [current, previous, foreign] = [newSigningSecret(), newSigningSecret(), newSigningSecret()];
    const message = { id, timestamp: timestamp(), body };
    const headers = { ...signatureHeaders(message, [new SigningKey(current), new SigningKey(previous)]) };
    for (const Library of [Webhook, SvixWebhook]) {
      expect(new Library(current).verify(body, headers)).toMatchObject({ event: 'file.created' });
      expect(new Library(previous).verify(body, headers)).toMatchObject({ event: 'file.created' });
      expect(() => new Library(foreign).verify(body, headers)).toThrow('No matching signature found');
    }
  });

  it('T-109 T-111 known values', () => {
    const key = new SigningKey('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    expect(
      signatureHeaders(
        { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: 1614265330, body: Buffer.from('{"test": 2432232314}') },
        [key],
      ),
    ).toEqual({
      'x-webhook-signature': createHmac('sha256', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')
        .update('{"test": 2432232314}')
        .digest('hex'),
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      // The vector of the Standard Webhooks specification.
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    });
  });
});
