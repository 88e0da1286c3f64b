import type { ReplyOf, RequestOf } from '@keyturn/contracts';
import { destinationOf } from './destination';
import type { Exchange, ExchangeOutcome } from './exchange';

type Answer = ReplyOf<'dispatcher.handshake'>;

const refused = (problem: string): Answer => ({ problem, allowedRate: null });

/**
 * Asks a receiver whether it wants our deliveries at all, as CloudEvents does for web hooks: an OPTIONS request to the very URL, which
 * it answers by naming us. Goes the way of every delivery, guard and bounds included.
 */
export class Handshake {
  constructor(
    private readonly exchange: Pick<Exchange, 'ask'>,
    /** Who we are, as a DNS name. */
    private readonly origin: string,
  ) {}

  async ask({ url, ratePerMinute }: RequestOf<'dispatcher.handshake'>): Promise<Answer> {
    const headers = ['WebHook-Request-Origin', this.origin];
    if (ratePerMinute !== null) headers.push('WebHook-Request-Rate', String(ratePerMinute));
    return consentOf(await this.exchange.ask(destinationOf(url), headers), this.origin);
  }
}

/** Only the headers consent: many servers answer OPTIONS with a success that means nothing by it. */
export function consentOf({ status, fault, headers }: ExchangeOutcome, origin: string): Answer {
  if (fault) return refused(fault.message);
  if (status === null || status < 200 || status > 299)
    return refused(`it answered ${status} to the OPTIONS request that asks for its consent`);
  const given = JSON.parse(headers ?? '{}') as Readonly<Record<string, string | string[]>>;
  const one = (name: string) => [given[name] ?? []].flat().join(',').trim();
  const allowed = one('webhook-allowed-origin');
  if (allowed === '') return refused('its answer to the OPTIONS request has no WebHook-Allowed-Origin');
  if (allowed !== '*' && allowed.toLowerCase() !== origin.toLowerCase())
    return refused(`its WebHook-Allowed-Origin is neither ${origin} nor *`);
  const rate = one('webhook-allowed-rate');
  if (rate === '' || rate === '*') return { problem: null, allowedRate: null };
  if (!/^[1-9]\d{0,8}$/.test(rate))
    return refused('its WebHook-Allowed-Rate is neither a number of requests a minute nor *');
  return { problem: null, allowedRate: Number(rate) };
}
