import { promises as dns } from 'node:dns';
import { readFile, stat } from 'node:fs/promises';
import { literalAddresses } from '@keyturn/webhook-store';
import { Fault } from './fault';

export interface NameResolverOptions {
  /** `address:port` of DNS servers; the machine's own where none is named. */
  readonly servers?: readonly string[];
  readonly hostsFile?: string;
  readonly now?: () => number;
}

interface Answer {
  readonly addresses: readonly string[];
  readonly until: number;
}

const maxNames = 10_000;
const longestMs = 30_000;
const shortestMs = 1_000;
const hostsCheckMs = 5_000;
/** How long the answers of one address family wait for those of the other (RFC 8305). */
const otherFamilyMs = 50;

/**
 * Host names to addresses, by DNS queries of our own: the system's resolver runs on four threads, so that four names that
 * hang would hold up every endpoint. Answers are kept as long as DNS allows, at most 30 s. Search domains are not used.
 */
export class NameResolver {
  private readonly resolver: dns.Resolver;
  private readonly hostsFile: string;
  private readonly now: () => number;
  private readonly answers = new Map<string, Answer>();
  private readonly running = new Map<string, Promise<readonly string[]>>();
  private hosts: { readonly names: ReadonlyMap<string, readonly string[]>; modifiedMs: number; checkedAt: number } = {
    names: new Map(),
    modifiedMs: -1,
    checkedAt: -Infinity,
  };

  constructor(options: NameResolverOptions = {}) {
    this.resolver = new dns.Resolver({ timeout: 1_000, tries: 2 });
    if (options.servers?.length) this.resolver.setServers(options.servers);
    this.hostsFile = options.hostsFile ?? '/etc/hosts';
    this.now = options.now ?? (() => performance.now());
  }

  /** At once where the name is an address or its answer is still good. Rejects with a {@link Fault}. */
  resolve(hostname: string): readonly string[] | Promise<readonly string[]> {
    const known = this.answers.get(hostname);
    if (known && known.until > this.now()) return known.addresses;
    const literal = literalAddresses(hostname);
    if (literal) return this.keep(hostname, literal, Infinity);
    let query = this.running.get(hostname);
    if (!query) {
      query = this.query(hostname).finally(() => this.running.delete(hostname));
      this.running.set(hostname, query);
    }
    return query;
  }

  private async query(hostname: string): Promise<readonly string[]> {
    const name = hostname.toLowerCase().replace(/\.$/, '');
    const named = (await this.hostNames()).get(name);
    if (named) return this.keep(hostname, named, shortestMs);
    const records = await this.records(name);
    const ttlMs = Math.min(...records.map(({ ttl }) => ttl)) * 1_000;
    return this.keep(
      hostname,
      records.map(({ address }) => address),
      Math.min(Math.max(ttlMs, shortestMs), longestMs),
    );
  }

  /** A and AAAA together; the first family that answers waits a moment for the other, whose server may be dead. */
  private async records(name: string) {
    const families = [
      this.resolver.resolve4(name, { ttl: true }),
      this.resolver.resolve6(name, { ttl: true }),
    ] as const;
    for (const family of families) family.catch(() => undefined);
    const first = await Promise.any(families).catch((error: AggregateError) => {
      throw dnsFault(name, error);
    });
    let timer: NodeJS.Timeout | undefined;
    const grace = new Promise<[]>((resolve) => (timer = setTimeout(resolve, otherFamilyMs, [])));
    const [v4, v6] = await Promise.all(families.map((family) => Promise.race([family.catch(() => []), grace])));
    clearTimeout(timer);
    const records = [...(v4 ?? []), ...(v6 ?? [])];
    return records.length ? records : first;
  }

  private keep(hostname: string, addresses: readonly string[], forMs: number): readonly string[] {
    this.answers.delete(hostname);
    this.answers.set(hostname, { addresses, until: this.now() + forMs });
    if (this.answers.size > maxNames) {
      const [oldest] = this.answers.keys();
      if (oldest !== undefined) this.answers.delete(oldest);
    }
    return addresses;
  }

  private async hostNames(): Promise<ReadonlyMap<string, readonly string[]>> {
    if (this.now() - this.hosts.checkedAt < hostsCheckMs) return this.hosts.names;
    this.hosts.checkedAt = this.now();
    try {
      const { mtimeMs } = await stat(this.hostsFile);
      if (mtimeMs !== this.hosts.modifiedMs)
        this.hosts = {
          names: readHosts(await readFile(this.hostsFile, 'utf8')),
          modifiedMs: mtimeMs,
          checkedAt: this.now(),
        };
    } catch {
      // A machine without a hosts file names no hosts there.
      this.hosts = { names: new Map(), modifiedMs: -1, checkedAt: this.now() };
    }
    return this.hosts.names;
  }
}

function readHosts(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!address) continue;
    for (const name of names) hosts.set(name.toLowerCase(), [...(hosts.get(name.toLowerCase()) ?? []), address]);
  }
  return hosts;
}

function dnsFault(name: string, error: AggregateError): Fault {
  const codes = error.errors.map((each: NodeJS.ErrnoException) => each.code ?? '');
  const unknown = codes.every((code) => code === 'ENOTFOUND' || code === 'ENODATA' || code === 'EBADNAME');
  const words = unknown ? 'has no address in DNS' : 'cannot be looked up: DNS does not answer';
  return new Fault('dns', `${name} ${words} (${[...new Set(codes)].join(', ')})`, error);
}
