import { createHash } from 'node:crypto';
import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { publicKeysPrefix, type WebhookPublicKey } from '@keyturn/contracts';
import { RpcClient } from '@keyturn/platform/rpc';
import { respond } from '../http/respond';
import { upstream } from '../http/upstream';

/** A receiver that verifies each delivery asks once in so long; a key that ends sooner is not kept beyond its end. */
const keptSeconds = 300;

/**
 * The public keys of one webhook that signs with `v1a`, for whoever knows where they are: a JSON Web Key Set, whose keys also
 * carry the spelling of Standard Webhooks.
 */
@Controller(publicKeysPrefix)
export class PublicKeysController {
  constructor(private readonly rpc: RpcClient) {}

  @Get(':keysId')
  async show(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Param('keysId') keysId: string,
  ): Promise<void> {
    const { head } = await this.rpc.request('webhook_keys.get', { keysId }, upstream(request));
    const body = Buffer.from(JSON.stringify({ keys: head.keys.map(jsonWebKey) }));
    await respond(request, reply, body, `public, max-age=${keptFor(head.keys, Date.now())}`);
  }
}

export function keptFor(keys: readonly WebhookPublicKey[], now: number): number {
  const ends = keys.map(({ until }) => (until === null ? Infinity : Math.ceil((Date.parse(until) - now) / 1_000)));
  return Math.max(0, Math.min(keptSeconds, ...ends));
}

/** RFC 8037; `kid` is the thumbprint of RFC 7638, so a key has the same name wherever it is written down. */
function jsonWebKey({ publicKey, until }: WebhookPublicKey) {
  const x = Buffer.from(publicKey.replace('whpk_', ''), 'base64').toString('base64url');
  const named = { crv: 'Ed25519', kty: 'OKP', x };
  const kid = createHash('sha256').update(JSON.stringify(named)).digest('base64url');
  return { ...named, kid, use: 'sig', alg: 'EdDSA', publicKey, until };
}
