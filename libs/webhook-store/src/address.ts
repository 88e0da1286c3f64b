import { isIP } from 'node:net';

/** An IP address as a number, so that ranges are compared by bits and not by spelling. */
export interface Address {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

export interface Range extends Address {
  readonly prefix: number;
}

const width = { 4: 32, 6: 128 } as const;

export function within(address: Address, range: Range): boolean {
  if (address.family !== range.family) return false;
  const shift = BigInt(width[range.family] - range.prefix);
  return address.bits >> shift === range.bits >> shift;
}

/** The address in the last 32 bits. */
export const embeddedV4 = (address: Address): Address => ({ family: 4, bits: address.bits & 0xffff_ffffn });

export function parseRange(cidr: string): Range {
  const [text = '', length = ''] = cidr.split('/');
  const address = parseAddress(text);
  const prefix = Number(length);
  if (!address || !/^\d{1,3}$/.test(length) || prefix > width[address.family])
    throw new Error(`"${cidr}" is not an address range such as 127.0.0.0/8`);
  return { ...address, prefix };
}

/** Dotted decimal IPv4 and every IPv6 spelling; scoped addresses (`fe80::1%eth0`) are none that a webhook could mean. */
export function parseAddress(text: string): Address | undefined {
  const family = isIP(text);
  if (family === 4) return { family, bits: parseV4(text) };
  if (family === 6 && !text.includes('%')) return { family, bits: parseV6(text) };
  return undefined;
}

const parseV4 = (text: string) => text.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);

function parseV6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const before = groupsOf(head);
  const after = tail === undefined ? [] : groupsOf(tail);
  const gap = new Array<bigint>(8 - before.length - after.length).fill(0n);
  return [...before, ...gap, ...after].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const v4 = parseV4(group);
    return [v4 >> 16n, v4 & 0xffffn];
  });
}

export function formatAddress({ family, bits }: Address): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 0xffn).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  // The URL parser knows the shortest spelling (RFC 5952).
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}
