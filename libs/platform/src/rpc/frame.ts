/**
 * What travels in one message: the length of the head (4 bytes, little endian), the head as JSON, then raw bytes. The rows of
 * a list are never parsed on their way. NATS carries 1 MB by default, so a longer reply goes in parts: each further part is
 * bare bytes, and the head of the first says how many bytes are to come.
 */
export interface RequestHead {
  readonly request: unknown;
  /** How long the caller still waits, in ms; clocks of two machines need not agree. */
  readonly waitMs: number;
  readonly requestId?: string;
  readonly traceparent?: string;
  readonly adminToken?: string;
}

export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly field?: string;
  readonly retryAfterSeconds?: number;
}

export interface ReplyHead {
  readonly reply?: unknown;
  readonly error?: WireError;
  /** Bytes of the whole body, over all parts. */
  readonly bytes: number;
}

export const partBytes = 512 * 1024;

const decoder = new TextDecoder();

export function encodeFrame(head: RequestHead | ReplyHead, body: Uint8Array): Uint8Array {
  const json = JSON.stringify(head);
  const headBytes = Buffer.byteLength(json);
  const frame = Buffer.allocUnsafe(4 + headBytes + body.length);
  frame.writeUInt32LE(headBytes, 0);
  frame.write(json, 4, 'utf8');
  frame.set(body, 4 + headBytes);
  return frame;
}

/** Undefined where the bytes are no frame: garbage on our subjects is dropped, it stops nobody. */
export function decodeFrame<H>(bytes: Uint8Array): { head: H; body: Uint8Array } | undefined {
  if (bytes.length < 4) return undefined;
  const headBytes = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  if (headBytes > bytes.length - 4) return undefined;
  try {
    const head: unknown = JSON.parse(decoder.decode(bytes.subarray(4, 4 + headBytes)));
    if (typeof head !== 'object' || head === null) return undefined;
    return { head: head as H, body: bytes.subarray(4 + headBytes) };
  } catch {
    return undefined;
  }
}
