import { request } from 'node:http';
import type { InstanceName, TestSystem } from '@keyturn/testing';

interface Outage {
  readonly from: number;
  to: number | undefined;
}

const gateways: readonly InstanceName[] = ['api-gateway', 'api-gateway#2'];
const everyMs = 50;
/** A request is answered within 2 s, whatever is down; a client waits a little longer. */
const patienceMs = 2_500;

/** A consumer that reads a record again and again, by the other gateway where one does not serve it. */
export class SteadyReader {
  reads = 0;
  private readonly outages: Outage[] = [];
  private running: Promise<void> = Promise.resolve();
  private stopped = false;
  private turn = 0;

  private constructor(
    private readonly system: TestSystem,
    private readonly path: string,
    private readonly key: string,
  ) {}

  static start(system: TestSystem, path: string, key: string): SteadyReader {
    const reader = new SteadyReader(system, path, key);
    reader.running = reader.run();
    return reader;
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  /** No read fails at this moment. */
  get served(): boolean {
    return this.outages.at(-1)?.to !== undefined || this.outages.length === 0;
  }

  /** How long after `over` reads began to be served again, of what went wrong since `from`; 0 where that was before it. */
  recoveredAfter(from: number, over: number): number {
    const last = this.outages.filter((outage) => (outage.to ?? Infinity) > from).at(-1);
    return last ? Math.max(0, (last.to ?? Date.now()) - over) : 0;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const asked = Date.now();
      this.turn++;
      const served = (await this.ask(0)) || (await this.ask(1));
      this.reads++;
      const open = this.outages.at(-1);
      if (served && open && open.to === undefined) open.to = Date.now();
      if (!served && (!open || open.to !== undefined)) this.outages.push({ from: asked, to: undefined });
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  private ask(next: number): Promise<boolean> {
    const gateway = gateways[(this.turn + next) % gateways.length] as InstanceName;
    return new Promise((resolve) => {
      let origin: string;
      try {
        origin = this.system.gatewayUrl(gateway);
      } catch {
        return resolve(false);
      }
      const asking = request(
        `${origin}${this.path}`,
        { headers: { 'x-api-key': this.key }, agent: false, timeout: patienceMs },
        (answer) => {
          answer.resume();
          answer.once('error', () => resolve(false));
          answer.once('end', () => resolve(answer.statusCode === 200));
        },
      );
      asking.once('timeout', () => asking.destroy());
      asking.once('error', () => resolve(false));
      asking.end();
    });
  }
}
