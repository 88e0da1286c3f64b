import { hash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { gzipFromBytes, takesGzip } from './encoding';
import { hasIt } from './respond';

/** Bytes that are the same for everybody, packed once. */
export interface Asset {
  readonly body: Buffer;
  readonly packed: Buffer | undefined;
  readonly headers: Readonly<Record<string, string>>;
}

export function asset(body: Buffer, contentType: string, cacheControl: string): Asset {
  return {
    body,
    packed: body.length >= gzipFromBytes && !contentType.startsWith('image/') ? gzipSync(body) : undefined,
    headers: {
      'content-type': contentType,
      'cache-control': cacheControl,
      vary: 'Accept-Encoding',
      etag: `W/"${hash('sha1', body, 'base64url')}"`,
    },
  };
}

/** Answers with the asset, or with a 304 where the caller has it. */
export function respondWithAsset(request: FastifyRequest, reply: FastifyReply, { body, packed, headers }: Asset): void {
  void reply.headers(headers);
  if (hasIt(request.headers['if-none-match'], headers['etag'] as string)) {
    void reply.code(304).removeHeader('content-type').send();
    return;
  }
  if (packed && takesGzip(request.headers['accept-encoding'])) {
    void reply.header('content-encoding', 'gzip').send(packed);
    return;
  }
  void reply.send(body);
}
