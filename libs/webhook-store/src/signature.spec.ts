import { createHmac, createPublicKey, timingSafeEqual, verify } from 'node:crypto';
import { Webhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { SigningKey, newSigningSecret, signatureHeaders } from './signature';
import { newSignatureKeyPair, SignatureKey } from './signature-key';

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
    const key = new SigningKey(secret);
    const headers = signatureHeaders({ id, timestamp: timestamp(), body }, key, [key]);
    expect(headers['x-webhook-signature']).toMatch(/^[0-9a-f]{64}$/);
    expect(verifyWebhookSignature(body.toString(), headers['x-webhook-signature'], secret)).toBe(true);
  });

  it('T-111 the Standard Webhooks headers pass its own library and that of Svix, during a rotation with either secret', () => {
    const [current, previous, foreign] = [newSigningSecret(), newSigningSecret(), newSigningSecret()];
    const message = { id, timestamp: timestamp(), body };
    const keys: [SigningKey, SigningKey] = [new SigningKey(current), new SigningKey(previous)];
    const headers = { ...signatureHeaders(message, keys[0], keys) };
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
        key,
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

  describe('v1a', () => {
    /** As a receiver does it, with nothing of ours. */
    function isSigned(publicKey: string, headers: Readonly<Record<string, string>>, bytes: Buffer): boolean {
      const key = createPublicKey({
        key: {
          kty: 'OKP',
          crv: 'Ed25519',
          x: Buffer.from(publicKey.replace('whpk_', ''), 'base64').toString('base64url'),
        },
        format: 'jwk',
      });
      const signed = Buffer.concat([Buffer.from(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`), bytes]);
      return (headers['webhook-signature'] ?? '').split(' ').some((item) => {
        const [scheme, signature = ''] = item.split(',');
        return scheme === 'v1a' && verify(null, signed, key, Buffer.from(signature, 'base64'));
      });
    }

    it('key pairs are written as Standard Webhooks writes them', () => {
      const { privateKey, publicKey } = newSignatureKeyPair();
      expect(publicKey).toMatch(/^whpk_[A-Za-z0-9+/]{43}=$/);
      expect(privateKey).toMatch(/^whsk_[A-Za-z0-9+/]{86}==$/);
      const [whole, point] = [privateKey, publicKey].map((key) => Buffer.from(key.slice(5), 'base64'));
      expect(whole?.subarray(32)).toEqual(point);
      expect(newSignatureKeyPair().publicKey).not.toBe(publicKey);
    });

    it('T-111 Ed25519 verifies what it signs, over id, timestamp and the very bytes; the header of the seed stays', () => {
      const [current, previous, foreign] = [newSignatureKeyPair(), newSignatureKeyPair(), newSignatureKeyPair()];
      const secret = newSigningSecret();
      const message = { id, timestamp: timestamp(), body };
      const signers = [current, previous].map(({ privateKey }) => new SignatureKey(privateKey));
      const headers = { ...signatureHeaders(message, new SigningKey(secret), signers) };
      expect(headers['webhook-signature']).toMatch(/^v1a,[A-Za-z0-9+/]{86}== v1a,[A-Za-z0-9+/]{86}==$/);
      expect(verifyWebhookSignature(body.toString(), headers['x-webhook-signature'], secret)).toBe(true);
      for (const { publicKey } of [current, previous]) expect(isSigned(publicKey, headers, body)).toBe(true);
      expect(isSigned(foreign.publicKey, headers, body)).toBe(false);
      expect(isSigned(current.publicKey, headers, Buffer.concat([body, Buffer.from(' ')]))).toBe(false);
      for (const changed of [{ 'webhook-id': 'evt_2' }, { 'webhook-timestamp': String(message.timestamp + 1) }])
        expect(isSigned(current.publicKey, { ...headers, ...changed }, body)).toBe(false);
    });

    it('T-111 libraries that know only v1 pass it over: they verify beside it, and refuse it alone', () => {
      const secret = newSigningSecret();
      const [symmetric, asymmetric] = [new SigningKey(secret), new SignatureKey(newSignatureKeyPair().privateKey)];
      const message = { id, timestamp: timestamp(), body };
      for (const Library of [Webhook, SvixWebhook]) {
        const both = { ...signatureHeaders(message, symmetric, [asymmetric, symmetric]) };
        expect(new Library(secret).verify(body, both)).toMatchObject({ event: 'file.created' });
        const alone = { ...signatureHeaders(message, symmetric, [asymmetric]) };
        expect(() => new Library(secret).verify(body, alone)).toThrow('No matching signature found');
      }
    });

    it('T-111 known values', () => {
      const key = new SignatureKey(
        'whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==',
      );
      // The vector that the server of Svix publishes; Ed25519 signs the same bytes the same way each time.
      expect(key.standard('msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, Buffer.from('{"test": 2432232314}'))).toBe(
        'v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==',
      );
    });
  });
});
