import { setTimeout as delay } from 'node:timers/promises';
import { say, Stopped } from './sentence';

/** A running process, of a service or a server. */
export interface Member {
  readonly pid: number;
  readonly exited: Promise<void>;
  stop(): Promise<void>;
  stopAtOnce(): Promise<void>;
}

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** Whoever ran this long had started well: the next failure is a new one. */
const STEADY_MS = 30_000;

/** Keeps one process alive: starts it again when it dies, at once the first time and ever later while it keeps dying. */
export class Keeper<M extends Member> {
  private stopping = false;
  private member: M | undefined;
  private watching: Promise<void> | undefined;
  private readonly wake = new AbortController();

  constructor(
    readonly name: string,
    private readonly launch: () => Promise<M> | M,
    /** Called with each new process, also the first; resolves when it works. */
    private readonly started: (member: M) => Promise<void> | void,
  ) {}

  /** The first start; what goes wrong with it is the caller's to tell. */
  async start(): Promise<M> {
    const member = await this.launch();
    this.member = member;
    if (this.stopping) {
      await member.stop();
      throw new Stopped();
    }
    await this.started(member);
    this.watching = this.watch(member);
    return member;
  }

  async stop(): Promise<void> {
    this.stopping = true;
    this.wake.abort();
    await this.member?.stop();
    await this.watching;
  }

  async stopAtOnce(): Promise<void> {
    this.stopping = true;
    this.wake.abort();
    await this.member?.stopAtOnce();
  }

  private async watch(first: M): Promise<void> {
    let pause = FIRST_DELAY_MS;
    for (let member = first; ;) {
      const since = Date.now();
      await member.exited;
      if (this.stopping) return;
      if (Date.now() - since > STEADY_MS) pause = FIRST_DELAY_MS;
      say(`${this.name} (process ${member.pid}) has ended; starting it again …`);
      const next = await this.again(() => {
        const now = pause;
        pause = Math.min(pause * 2, LONGEST_DELAY_MS);
        return now;
      });
      if (!next) return;
      member = next;
    }
  }

  /** Tries until it works; undefined once it is to stop. */
  private async again(nextPause: () => number): Promise<M | undefined> {
    for (;;) {
      await delay(nextPause(), undefined, { signal: this.wake.signal }).catch(() => undefined);
      if (this.stopping) return undefined;
      try {
        const member = await this.launch();
        this.member = member;
        if (this.stopping) {
          await member.stop();
          return undefined;
        }
        await this.started(member);
        say(`${this.name} runs again (process ${member.pid}).`);
        return member;
      } catch (error) {
        if (this.stopping) return undefined;
        say(`${this.name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
}
