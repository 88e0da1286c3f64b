import { hash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { gzipFromBytes, gzipped, takesGzip } from './encoding';
import { jsonType } from './headers';

/**
 * Answers a read: a weak ETag over the body's bytes, 304 where the caller has them already, gzip where it pays and is taken.
 * What it says is the caller's alone, and is asked for again each time, unless told otherwise.
 */
export async function respond(
  request: FastifyRequest,
  reply: FastifyReply,
  body: Buffer,
  cacheControl = 'private, no-cache',
): Promise<void> {
  const etag = `W/"${hash('sha1', body, 'base64url')}"`;
  void reply.headers({
    'content-type': jsonType,
    'cache-control': cacheControl,
    vary: 'Accept-Encoding',
    etag,
  });
  if (hasIt(request.headers['if-none-match'], etag)) {
    void reply.code(304).removeHeader('content-type').send();
    return;
  }
  if (body.length >= gzipFromBytes && takesGzip(request.headers['accept-encoding'])) {
    const packed = await gzipped(body);
    void reply.header('content-encoding', 'gzip').send(packed);
    return;
  }
  void reply.send(body);
}

/** Answers what must not be kept: secrets, sessions, and everything that a write returns. */
export function respondUnstored(reply: FastifyReply, body: Buffer, status = 200): void {
  void reply.code(status).headers({ 'content-type': jsonType, 'cache-control': 'no-store' }).send(body);
}

/** Weak comparison (RFC 9110 §13.1.2): any of the listed tags, whatever their strength. */
export function hasIt(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  if (header.trim() === '*') return true;
  const opaque = etag.slice(2);
  return header.split(',').some((tag) => tag.trim().replace(/^W\//, '') === opaque);
}
