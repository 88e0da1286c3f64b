import { BlockList, isIP } from 'node:net';

interface Block {
  readonly cidr: string;
  readonly except?: readonly string[];
}

const kindOf = (address: string) => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

function within(address: string, cidr: string): boolean {
  const [net = '', prefix] = cidr.split('/');
  if (kindOf(net) !== kindOf(address)) return false;
  const list = new BlockList();
  list.addSubnet(net, Number(prefix), kindOf(net));
  return list.check(address, kindOf(address));
}

/** Whether a NetworkPolicy's `ipBlock` takes the address. */
export const passes = ({ cidr, except = [] }: Block, address: string) =>
  within(address, cidr) && !except.some((range) => within(address, range));

/** The first and last address of a range and their neighbours outside. */
export function edgesOf(cidr: string): string[] {
  const [net = '', prefix] = cidr.split('/');
  const width = kindOf(net) === 'ipv6' ? 128 : 32;
  const first = bitsOf(net);
  const last = first + (1n << BigInt(width - Number(prefix))) - 1n;
  return [first - 1n, first, last, last + 1n]
    .filter((bits) => bits >= 0n && bits < 1n << BigInt(width))
    .map((bits) => textOf(bits, width));
}

/** As the URL parser spells it. */
export const formatted = (address: string) =>
  isIP(address) === 6 ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;

function bitsOf(address: string): bigint {
  if (isIP(address) === 4) return address.split('.').reduce((bits, part) => (bits << 8n) | BigInt(part), 0n);
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => '0');
  return [...groups(head), ...zeros, ...groups(tail)].reduce((bits, group) => (bits << 16n) | BigInt(`0x${group}`), 0n);
}

function textOf(bits: bigint, width: number): string {
  const [size, separator, radix] = width === 32 ? [8, '.', 10] : [16, ':', 16];
  const parts = Array.from({ length: width / size }, (_, index) =>
    ((bits >> BigInt(width - size * (index + 1))) & ((1n << BigInt(size)) - 1n)).toString(radix),
  );
  return parts.join(separator);
}
