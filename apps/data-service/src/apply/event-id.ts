import { hash } from 'node:crypto';

const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/**
 * What a domain event is known by: a digest of the pair (source, id). Sixteen bytes of it tell a repeated event (fewer than
 * the texts, so that a month of them stays small); ten further bytes are the random part of the ids of what it emits.
 */
export class EventKey {
  private readonly digest: Buffer;

  constructor(source: string, id: string) {
    // Neither holds a NUL (the check of attributes), so no two pairs join to one text.
    this.digest = hash('sha256', `${source}\0${id}`, 'buffer');
  }

  /** As text of a uuid without dashes. */
  get seen(): string {
    return this.digest.toString('hex', 0, 16);
  }

  /**
   * `evt_<ulid>` of the n-th message that the event emits. It follows from the event alone, so an event that is applied again
   * after a database was restored from an older copy yields the very ids that subscribers may have seen.
   */
  messageId(time: string, n: number): string {
    const random = Buffer.from(this.digest.subarray(16, 26));
    random[9] = (random[9] as number) ^ n;
    return `evt_${base32Time(Math.max(0, Date.parse(time)))}${base32(random, 0)}${base32(random, 5)}`;
  }
}

function base32Time(ms: number): string {
  let text = '';
  for (let rest = ms, i = 0; i < 10; i++, rest = Math.floor(rest / 32)) text = alphabet.charAt(rest % 32) + text;
  return text;
}

/** Five bytes are eight letters. */
function base32(bytes: Buffer, at: number): string {
  let text = '';
  for (let rest = bytes.readUIntBE(at, 5), i = 0; i < 8; i++, rest = Math.floor(rest / 32))
    text = alphabet.charAt(rest % 32) + text;
  return text;
}
