import { Injectable } from '@nestjs/common';

type Step = { readonly what: string; readonly run: () => Promise<void> };

/** What a service has to finish before it exits, in the order in which it was added: consumers before connections. */
@Injectable()
export class Drain {
  private readonly steps: Step[] = [];
  private started = false;

  /** True from SIGTERM on: the service is unready, serves for the probe interval, then finishes. */
  get draining(): boolean {
    return this.started;
  }

  on(what: string, run: () => Promise<void>): void {
    this.steps.push({ what, run });
  }

  begin(): void {
    this.started = true;
  }

  /** Runs every step, also after one has failed, and reports the failures. */
  async run(): Promise<{ what: string; error: unknown }[]> {
    const failures: { what: string; error: unknown }[] = [];
    for (const { what, run } of this.steps) {
      try {
        await run();
      } catch (error) {
        failures.push({ what, error });
      }
    }
    return failures;
  }
}
