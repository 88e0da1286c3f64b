import { Injectable } from '@nestjs/common';
import { Drain } from './drain';

const checkTimeoutMs = 1_000;

export interface HealthReport {
  readonly ready: boolean;
  /** `ok`, or what is wrong, by check. */
  readonly checks: Readonly<Record<string, string>>;
}

/** Readiness: can this instance do its work now? Liveness asks nothing of anybody, so it is not here (DESIGN §5). */
@Injectable()
export class Health {
  private readonly checks = new Map<string, () => Promise<void>>();

  constructor(private readonly drain: Drain) {}

  /** `check` rejects while what it asks for is down. */
  add(name: string, check: () => Promise<void>): void {
    this.checks.set(name, check);
  }

  /**
   * `except` leaves checks out: a gateway that cannot reach Postgres still has an answer to give, in the shape of its
   * surface, so what routes traffic to it may ask about everything else. A drain cannot be left out.
   */
  async report(except: readonly string[] = []): Promise<HealthReport> {
    const asked = [...this.checks].filter(([name]) => !except.includes(name));
    const results = await Promise.all(asked.map(async ([name, check]) => [name, await outcome(check)] as const));
    if (this.drain.draining) results.push(['shutdown', 'draining']);
    return { ready: results.every(([, result]) => result === 'ok'), checks: Object.fromEntries(results) };
  }
}

async function outcome(check: () => Promise<void>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('no answer in time'), checkTimeoutMs);
  });
  try {
    return await Promise.race([
      check().then(
        () => 'ok',
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      ),
      late,
    ]);
  } finally {
    clearTimeout(timer);
  }
}
