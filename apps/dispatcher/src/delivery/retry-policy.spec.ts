import fc from 'fast-check';
import { decide, parseRetryAfter, slowsDown, type AttemptEnd, type RetryRules } from './retry-policy';

const now = new Date('2026-03-10T12:00:00.000Z');
const minute = 60_000;
const hour = 60 * minute;
const rules: RetryRules = {
  scheduleMs: [30_000, minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 8 * hour],
  jitter: false,
};
const end = (changes: Partial<AttemptEnd>): AttemptEnd => ({
  status: null,
  fault: null,
  retryAfter: null,
  totalMs: 20,
  attempt: 1,
  repeated: false,
  probe: false,
  ...changes,
});
const decideAt = (changes: Partial<AttemptEnd>, given = rules) => decide(end(changes), given, now, () => 0.5);

describe('what follows from an attempt (T-112, X3)', () => {
  it('2xx is delivered, and nothing else', () => {
    for (const status of [200, 201, 202, 204, 299]) expect(decideAt({ status })).toEqual({ kind: 'delivered' });
    for (const status of [301, 302, 307, 308, 400, 401, 404, 413, 500])
      expect(decideAt({ status })).toMatchObject({ kind: 'retry', inMs: 30_000 });
  });

  it('nine attempts, then it has failed', () => {
    const waits = rules.scheduleMs.map((_, index) => decideAt({ status: 500, attempt: index + 1 }));
    expect(waits).toEqual(rules.scheduleMs.map((inMs) => ({ kind: 'retry', inMs, holdMs: 0 })));
    expect(rules.scheduleMs.reduce((sum, offset) => sum + offset, 0)).toBe(56_790_000);
    expect(decideAt({ status: 500, attempt: 9 })).toEqual({ kind: 'failed' });
  });

  it('a probe uses up nothing of a schedule, and is repeated and answered like any attempt', () => {
    for (const attempt of [1, 9]) expect(decideAt({ status: 500, attempt, probe: true })).toEqual({ kind: 'put_back' });
    expect(decideAt({ status: 429, retryAfter: '7', probe: true })).toEqual({ kind: 'put_back' });
    expect(decideAt({ fault: 'refused', probe: true })).toEqual({ kind: 'repeat' });
    expect(decideAt({ status: 200, probe: true })).toEqual({ kind: 'delivered' });
    expect(decideAt({ status: 410, probe: true })).toEqual({ kind: 'gone' });
  });

  it('a schedule of an endpoint of its own', () => {
    const own = { scheduleMs: [1_000], jitter: false };
    expect(decideAt({ status: 500 }, own)).toMatchObject({ kind: 'retry', inMs: 1_000 });
    expect(decideAt({ status: 500, attempt: 2 }, own)).toEqual({ kind: 'failed' });
  });

  it('jitter is 0 to 10 %, never earlier', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, chance) => {
        const decision = decide(end({ status: 500, attempt }), { ...rules, jitter: true }, now, () => chance);
        const offset = rules.scheduleMs[attempt - 1] as number;
        if (decision.kind !== 'retry') throw new Error('expected a retry');
        expect(decision.inMs).toBeGreaterThanOrEqual(offset);
        expect(decision.inMs).toBeLessThanOrEqual(Math.ceil(offset * 1.1));
      }),
    );
  });

  it('410 turns the endpoint off', () => expect(decideAt({ status: 410, retryAfter: '5' })).toEqual({ kind: 'gone' }));

  it('Retry-After replaces the next offset, and holds the endpoint where it is overloaded', () => {
    expect(decideAt({ status: 429, retryAfter: '7' })).toEqual({ kind: 'retry', inMs: 7_000, holdMs: 7_000 });
    expect(decideAt({ status: 503, retryAfter: '3600' })).toEqual({ kind: 'retry', inMs: hour, holdMs: minute });
    expect(decideAt({ status: 500, retryAfter: '7' })).toEqual({ kind: 'retry', inMs: 7_000, holdMs: 0 });
    expect(decideAt({ status: 429, retryAfter: '7', attempt: 9 })).toEqual({ kind: 'failed' });
  });

  it('what a receiver asks for is never cut short, and never longer than 24 h, jitter included', () => {
    const jittered = { ...rules, jitter: true };
    const waits = (retryAfter: string) => decide(end({ status: 429, retryAfter }), jittered, now, () => 1);
    expect(waits('100')).toMatchObject({ inMs: 110_000 });
    expect(waits('86400')).toMatchObject({ inMs: 24 * hour });
    expect(waits('82800')).toMatchObject({ inMs: 24 * hour });
  });

  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['86400', 24 * hour],
    ['999999999999', 24 * hour],
    ['Tue, 10 Mar 2026 12:01:30 GMT', 90_000],
    ['Tuesday, 10-Mar-26 12:01:30 GMT', 90_000],
    ['Tue Mar 10 12:01:30 2026', 90_000],
    ['Tue, 10 Mar 2026 11:00:00 GMT', 0],
    ['Fri, 31 Dec 2099 23:59:59 GMT', 24 * hour],
    ['soon', undefined],
    ['-5', undefined],
    ['1.5', undefined],
    ['2026-03-10T12:01:30Z', undefined],
    ['', undefined],
  ])('Retry-After: %s', (text, ms) => expect(parseRetryAfter(text, now)).toBe(ms));

  it.each(['refused', 'reset', 'unreachable'] as const)('one immediate repeat after %s within a second', (fault) => {
    expect(decideAt({ fault })).toEqual({ kind: 'repeat' });
    expect(decideAt({ fault, attempt: 9 })).toEqual({ kind: 'repeat' });
    expect(decideAt({ fault, repeated: true })).toMatchObject({ kind: 'retry' });
    expect(decideAt({ fault, totalMs: 1_000 })).toMatchObject({ kind: 'retry' });
  });

  it.each(['timeout', 'tls', 'dns', 'blocked_address', 'protocol'] as const)('no repeat after %s', (fault) =>
    expect(decideAt({ fault })).toMatchObject({ kind: 'retry', inMs: 30_000 }),
  );

  it('429, 502, 503, 504, hanging and refusing slow an endpoint down', () => {
    for (const status of [429, 502, 503, 504]) expect(slowsDown(status, null, 20)).toBe(true);
    for (const status of [200, 301, 400, 404, 500]) expect(slowsDown(status, null, 4_000)).toBe(false);
    for (const fault of ['timeout', 'refused', 'reset'] as const) expect(slowsDown(null, fault, 20)).toBe(true);
    for (const fault of ['dns', 'tls', 'blocked_address'] as const) expect(slowsDown(null, fault, 20)).toBe(false);
  });

  it('so does a name that hangs: whoever owns it could hold slots with it', () =>
    expect(slowsDown(null, 'dns', 3_000)).toBe(true));
});
