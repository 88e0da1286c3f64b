import { moment, nullable, objectSchema, type Part, ref } from './schema';

const publicKey = {
  kty: { type: 'string', const: 'OKP' },
  crv: { type: 'string', const: 'Ed25519' },
  x: { type: 'string', pattern: '^[A-Za-z0-9_-]{43}$', description: 'The key, base64url of its 32 bytes.' },
  kid: { type: 'string', description: 'The thumbprint of the key (RFC 7638).' },
  use: { type: 'string', const: 'sig' },
  alg: { type: 'string', const: 'EdDSA' },
  publicKey: { type: 'string', pattern: '^whpk_', description: 'The same key as Standard Webhooks writes it.' },
  until: nullable(moment('When it will sign no more; null for the current one.')),
} satisfies Record<string, Part>;

export const publicKeysExample: Part = {
  keys: [
    {
      kty: 'OKP',
      crv: 'Ed25519',
      x: '1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4',
      kid: 'rEltOPXl-8jZfn0NbO5yMzHDi5e-WdjzkrFUUcp6oIE',
      use: 'sig',
      alg: 'EdDSA',
      publicKey: 'whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=',
      until: null,
    },
  ],
};

/** What verifies signatures, and how what makes them is replaced. */
export const signingSchemas: Readonly<Record<string, Part>> = {
  PublicKeys: objectSchema('PublicKeys', 'A JSON Web Key Set (RFC 7517, RFC 8037).', {
    keys: { type: 'array', minItems: 1, items: ref('schemas', 'PublicKey') },
  }),
  PublicKey: objectSchema('PublicKey', 'One key that signs now.', publicKey),
  Rotation: objectSchema(
    'Rotation',
    'How a secret is replaced.',
    {
      overlapSeconds: {
        type: 'integer',
        minimum: 0,
        maximum: 604800,
        default: 86400,
        description: 'How long the secret before signs too.',
      },
    },
    [],
  ),
};
