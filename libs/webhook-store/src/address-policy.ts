import { isIP } from 'node:net';
import { embeddedV4, formatAddress, parseAddress, parseRange, within, type Address, type Range } from './address';

/**
 * Where a webhook may go (X5): nowhere but public addresses, except for the ranges that an operator has named. Used when
 * an endpoint is made or changed (`checkUrl`) and, with the answers of DNS, before each connection (`checkAddress`).
 */
export interface AddressPolicyOptions {
  /** Plain http, for addresses of `allowCidrs` only. */
  readonly allowHttp: boolean;
  /** `127.0.0.0/8`, `::1/128`, …: these win over every refusal. */
  readonly allowCidrs: readonly string[];
}

export type AddressVerdict =
  | {
      readonly ok: true;
      /** In its normal spelling: the one to dial. */
      readonly address: string;
      /** Named by the operator, so that plain http may go there. */
      readonly listed: boolean;
    }
  | { readonly ok: false; readonly problem: string };

export type UrlVerdict = { readonly ok: true; readonly url: URL } | { readonly ok: false; readonly problem: string };

/** IPv4 blocks that are not the public Internet: IANA's special-purpose registry (RFC 6890), multicast and reserved space. */
const refusedV4 = ranges([
  ['0.0.0.0/8', 'the address of "this network"'],
  ['10.0.0.0/8', 'a private address'],
  ['100.64.0.0/10', 'a carrier-grade NAT address'],
  ['127.0.0.0/8', 'a loopback address'],
  ['168.63.129.16/32', 'a cloud metadata address'],
  ['169.254.0.0/16', 'a link-local address'],
  ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'an address reserved for protocols'],
  ['192.0.2.0/24', 'a documentation address'],
  ['192.31.196.0/24', 'an address reserved for protocols'],
  ['192.52.193.0/24', 'an address reserved for protocols'],
  ['192.88.99.0/24', 'a 6to4 relay address'],
  ['192.168.0.0/16', 'a private address'],
  ['192.175.48.0/24', 'an address reserved for protocols'],
  ['198.18.0.0/15', 'a benchmarking address'],
  ['198.51.100.0/24', 'a documentation address'],
  ['203.0.113.0/24', 'a documentation address'],
  ['224.0.0.0/4', 'a multicast address'],
  ['240.0.0.0/4', 'a reserved or broadcast address'],
]);

/** IPv6 says which addresses are public (2000::/3), so what is refused in words is refused with a better reason only. */
const refusedV6 = ranges([
  ['::/128', 'the unspecified address'],
  ['::1/128', 'a loopback address'],
  ['64:ff9b:1::/48', 'a local translation address'],
  ['100::/64', 'a discard address'],
  ['100:0:0:1::/64', 'a dummy address'],
  // Teredo, benchmarking, ORCHID and drone addresses are all in here.
  ['2001::/23', 'an address reserved for protocols'],
  ['2001:db8::/32', 'a documentation address'],
  ['2002::/16', 'a 6to4 address'],
  ['2620:4f:8000::/48', 'an address reserved for protocols'],
  ['3ffe::/16', 'an address of a network that is no more'],
  ['3fff::/20', 'a documentation address'],
  ['5f00::/16', 'a segment routing address'],
  ['fc00::/7', 'a unique local address'],
  ['fe80::/10', 'a link-local address'],
  ['fec0::/10', 'a site-local address'],
  ['ff00::/8', 'a multicast address'],
]);

const publicV6 = parseRange('2000::/3');

/** Forms that carry an IPv4 address in their last 32 bits and lead to it, so that one is judged. */
const embeddingV6 = [parseRange('::ffff:0:0/96'), parseRange('64:ff9b::/96')];
const mappedV6 = parseRange('::ffff:0:0/96');

export class AddressPolicy {
  private readonly allowHttp: boolean;
  private readonly allowed: readonly Range[];

  constructor(options: AddressPolicyOptions) {
    this.allowHttp = options.allowHttp;
    this.allowed = options.allowCidrs.map(parseRange);
  }

  /** Judges one address, as DNS answers it or as a URL spells it after its parse. */
  checkAddress(text: string): AddressVerdict {
    const parsed = parseAddress(text);
    if (!parsed) return { ok: false, problem: `${text} is not an address` };
    // An IPv4-mapped address is dialled as what it is, IPv4.
    const address = within(parsed, mappedV6) ? embeddedV4(parsed) : parsed;
    const spelled = formatAddress(address);
    if (this.allowed.some((range) => within(address, range))) return { ok: true, address: spelled, listed: true };
    const refusal = refusalOf(address);
    return refusal === undefined
      ? { ok: true, address: spelled, listed: false }
      : { ok: false, problem: `${spelled} is ${refusal}` };
  }

  /**
   * What can be said of an endpoint's URL without DNS (T-086). A name may still lead to a refused address; that is seen
   * before each connection. The problem fits behind the field's name.
   */
  checkUrl(text: string): UrlVerdict {
    // A URL parser drops line ends and trims blanks; what is stored must be what was meant.
    if ([...text].some((character) => character <= ' ' || character === '\x7f'))
      return refuse('must not contain blanks or control characters');
    if (!URL.canParse(text)) return refuse('must be an absolute URL');
    const url = new URL(text);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && this.allowHttp)) return refuse('must use https');
    if (url.username !== '' || url.password !== '') return refuse('must not contain a user name or password');
    if (url.port === '0') return refuse('must not use port 0');
    const literals = literalAddresses(url.hostname);
    if (literals) {
      const verdicts = literals.map((literal) => this.checkAddress(literal));
      const passed = verdicts.filter((verdict) => verdict.ok);
      const refused = verdicts.find((verdict) => !verdict.ok);
      if (!passed.length && refused) return refuse(`must not point to a non-public address: ${refused.problem}`);
      if (url.protocol === 'http:' && !passed.some((verdict) => verdict.listed)) return refuse('must use https');
    }
    return { ok: true, url };
  }
}

const refuse = (problem: string): UrlVerdict => ({ ok: false, problem });

/** The addresses that a host name stands for by itself, without DNS; undefined for any other name. */
export function literalAddresses(hostname: string): readonly string[] | undefined {
  const bare = hostname.startsWith('[') && hostname.endsWith(']') ? hostname.slice(1, -1) : hostname;
  if (isIP(bare)) return [bare];
  // RFC 6761: these names are loopback whatever a resolver says.
  return /(^|\.)localhost\.?$/i.test(bare) ? ['127.0.0.1', '::1'] : undefined;
}

function refusalOf(address: Address): string | undefined {
  if (address.family === 4) return refusedV4.find(({ range }) => within(address, range))?.what;
  if (embeddingV6.some((range) => within(address, range))) return refusalOf(embeddedV4(address));
  const refused = refusedV6.find(({ range }) => within(address, range))?.what;
  return refused ?? (within(address, publicV6) ? undefined : 'not a public IPv6 address');
}

function ranges(list: readonly (readonly [string, string])[]) {
  return list.map(([cidr, what]) => ({ range: parseRange(cidr), what }));
}
