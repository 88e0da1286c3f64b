import { errors } from 'undici';
import type { FaultClass } from '@keyturn/webhook-store';

/** Why no answer came, as a value: a receiver's failure is an outcome of ours, not an error. */
export class Fault extends Error {
  constructor(
    readonly kind: Exclude<FaultClass, 'status'>,
    /** For the endpoint's owner: what happened, in a sentence without a full stop. */
    message: string,
    cause?: unknown,
  ) {
    super(message, { cause });
    this.name = 'Fault';
  }
}

const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

const connectFaults: Readonly<Record<string, readonly [Fault['kind'], string]>> = {
  ECONNREFUSED: ['refused', 'refused the connection'],
  ECONNRESET: ['reset', 'closed the connection'],
  EPIPE: ['reset', 'closed the connection'],
  ETIMEDOUT: ['timeout', 'did not accept a connection in time'],
  EHOSTUNREACH: ['unreachable', 'cannot be reached: there is no route'],
  ENETUNREACH: ['unreachable', 'cannot be reached: there is no route'],
  EADDRNOTAVAIL: ['unreachable', 'cannot be reached from here'],
  EACCES: ['unreachable', 'cannot be reached: the connection is not permitted'],
  EPERM: ['unreachable', 'cannot be reached: the connection is not permitted'],
};

/** A failure while connecting to `address`. */
export function connectFault(address: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const [kind, words] = connectFaults[codeOf(error)] ?? ['unreachable', `cannot be reached: ${messageOf(error)}`];
  return new Fault(kind, `${address} ${words}`, error);
}

/** A failure during the TLS handshake with `hostname`. */
export function tlsFault(hostname: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  const code = codeOf(error);
  // A connection that breaks says nothing of certificates: it is a fault of the connection at this step as at any other.
  const broken = connectFaults[code];
  if (broken) return new Fault(broken[0], `${hostname} closed the connection during the TLS handshake`, error);
  return new Fault(
    'tls',
    `${hostname} failed the TLS handshake: ${messageOf(error)}${code ? ` (${code})` : ''}`,
    error,
  );
}

/** A failure on an open connection, before the head of an answer was complete. */
export function exchangeFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof errors.HTTPParserError)
    return new Fault('protocol', 'the receiver did not answer in HTTP/1.1', error);
  if (error instanceof errors.HeadersOverflowError)
    return new Fault('protocol', 'the head of the answer is longer than 16 KiB', error);
  return new Fault('reset', 'the connection ended without an answer', error);
}
