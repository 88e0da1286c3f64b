import { isIP } from 'node:net';

/**
 * The label that may name a Space: the first of the host's name (T-004). Undefined for addresses and for names that no
 * Space can have, so the key alone decides there.
 */
export function hostLabel(host: string | undefined): string | undefined {
  if (!host) return undefined;
  const name = host.replace(/:\d*$/, '').toLowerCase();
  if (name.startsWith('[') || isIP(name)) return undefined;
  const dot = name.indexOf('.');
  const label = dot === -1 ? name : name.slice(0, dot);
  return isSlug(label) ? label : undefined;
}

/** Names that point at the system itself; a Space that took one would lock everybody else out of that host. */
const reserved = new Set([
  ...['localhost', 'www', 'api', 'api-gateway', 'gateway', 'app', 'admin', 'manage', 'docs', 'status', 'static', 'cdn'],
  ...[
    'auth',
    'oauth',
    'login',
    'mail',
    'smtp',
    'ns',
    'dns',
    'ftp',
    'webhooks',
    'events',
    'public',
    'keyturn',
    'internal',
  ],
]);

/** A label of a host name (RFC 1123), in lower case, that is not taken by the system. */
export function isSlug(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text) && !reserved.has(text) && !text.startsWith('xn--');
}
