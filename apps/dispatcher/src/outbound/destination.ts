import { literalAddresses, type AddressPolicy } from '@keyturn/webhook-store';
import { Fault } from './fault';
import type { NameResolver } from './name-resolver';

/** Where an endpoint's URL leads, taken apart once. */
export interface Destination {
  readonly secure: boolean;
  /** As certificates and the Host header name it; IPv6 without brackets. */
  readonly hostname: string;
  readonly port: number;
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
}

export function destinationOf(url: string): Destination {
  const parsed = new URL(url);
  const secure = parsed.protocol === 'https:';
  return {
    secure,
    hostname: parsed.hostname.replace(/^\[|\]$/g, ''),
    port: parsed.port === '' ? (secure ? 443 : 80) : Number(parsed.port),
    origin: parsed.origin,
    path: parsed.pathname + parsed.search,
  };
}

/** More addresses than that are checked but not tried. */
const maxTried = 4;

/**
 * The guard before each connection: every address that DNS gives is judged, and one that is refused refuses them all, since
 * a name that mixes public and private addresses is an attack or a mistake. What it returns is what is dialled.
 */
export class AddressGuard {
  private readonly judged = new WeakMap<readonly string[], readonly string[] | Fault>();
  private readonly judgedPlain = new WeakMap<readonly string[], readonly string[] | Fault>();

  constructor(
    private readonly policy: AddressPolicy,
    private readonly names: NameResolver,
  ) {}

  /** Throws or rejects with a {@link Fault}. */
  addressesOf(destination: Destination): readonly string[] | Promise<readonly string[]> {
    const found = this.names.resolve(destination.hostname);
    return 'then' in found
      ? found.then((addresses) => this.judge(destination, addresses))
      : this.judge(destination, found);
  }

  /** The same answer of DNS is judged once: the resolver hands out the same array while it is good. */
  private judge(destination: Destination, addresses: readonly string[]): readonly string[] {
    const cache = destination.secure ? this.judged : this.judgedPlain;
    let verdict = cache.get(addresses);
    if (!verdict) {
      verdict = this.verdict(destination, addresses);
      cache.set(addresses, verdict);
    }
    if (verdict instanceof Fault) throw verdict;
    return verdict;
  }

  private verdict({ hostname, secure }: Destination, addresses: readonly string[]): readonly string[] | Fault {
    const dialled: string[] = [];
    let refused: Fault | undefined;
    for (const address of addresses) {
      const checked = this.policy.checkAddress(address);
      if (checked.ok && (secure || checked.listed)) dialled.push(checked.address);
      else {
        const problem = checked.ok ? `${checked.address}, where only https may go` : checked.problem;
        refused ??= new Fault('blocked_address', `${hostname} leads to ${problem}`);
      }
    }
    // "localhost" stands for two addresses whatever anybody says, so there it is enough that one may be dialled.
    if (refused && (!literalAddresses(hostname) || !dialled.length)) return refused;
    return dialled.slice(0, maxTried);
  }
}
