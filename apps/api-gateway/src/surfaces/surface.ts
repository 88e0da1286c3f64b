import type { ErrorCode } from '@keyturn/contracts';
import { spaceApi } from './v1/space-api';

/** What went wrong, before a surface has given it a shape. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly retryAfterSeconds?: number;
  /** Methods that the path does take. */
  readonly allow?: string;
}

/**
 * One of the APIs behind this door. Envelope and errors differ by surface and are chosen by the request's path, never by the
 * framework's defaults (X2). A further surface is a further line in the table below.
 */
export interface Surface {
  readonly name: string;
  readonly failure: (failure: Failure) => { readonly status: number; readonly body: string };
}

const surfaces: readonly (readonly [prefix: string, surface: Surface])[] = [
  ['/api/v1', spaceApi],
  // The management plane speaks the envelope of the Space API (DESIGN §5).
  ['/manage', spaceApi],
];

/** Paths of no surface are answered like the Space API's (T-008). */
export function surfaceOf(path: string): Surface {
  for (const [prefix, surface] of surfaces) if (isUnder(path, prefix)) return surface;
  return spaceApi;
}

/** Whether `path` is `prefix` itself or below it. */
export function isUnder(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path.charCodeAt(prefix.length) === 47);
}
