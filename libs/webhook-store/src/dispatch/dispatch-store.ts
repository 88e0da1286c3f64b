import { ensureDaysAhead } from '../days';
import type { SecretBox } from '../secret-box';
import { Acceptance } from './acceptance';
import { Claiming } from './claiming';
import type {
  Accepted,
  AcceptedDelivery,
  AttemptResult,
  ClaimedDelivery,
  DispatchStore,
  Endpoint,
  InstanceId,
  QueueFigures,
  Room,
  TestMessage,
} from './dispatch-store.types';
import { readEndpoints, turnOffEndpoint } from './endpoints';
import { Leases } from './leases';
import { queueFigures } from './queue-figures';
import { Recording } from './recording';
import { openTest } from './test-delivery';
import { Upkeep } from './upkeep';
import type { CommittedEvent } from '@keyturn/contracts';
import type { Database, Queries } from '@keyturn/platform/database';

export interface DispatchStoreOptions {
  /** Attempts of the common schedule, the first one included: what `maxAttempts` shows (T-092). */
  readonly maxAttempts: number;
  /** How long after a failed probe a disabled endpoint is tried again. */
  readonly probeIntervalMs: number;
  /** How long what lies behind a missing batch of events waits for it. */
  readonly gapPatienceMs?: number;
}

/** One door to what the modules beside it do: each has its own statements. */
export class PostgresDispatchStore implements DispatchStore {
  private readonly db: Queries;
  private readonly leases: Leases;
  private readonly acceptance: Acceptance;
  private readonly claiming: Claiming;
  private readonly recording: Recording;
  private readonly upkeep: Upkeep;

  constructor(
    private readonly database: Database,
    private readonly secrets: SecretBox,
    private readonly options: DispatchStoreOptions,
  ) {
    this.db = database.acrossSpaces('a dispatcher sends the deliveries of all Spaces');
    this.upkeep = new Upkeep(database, options.gapPatienceMs);
    this.leases = new Leases(this.db);
    this.acceptance = new Acceptance(database, this.upkeep, options.maxAttempts);
    this.claiming = new Claiming(this.db, options.probeIntervalMs);
    this.recording = new Recording(database, this.upkeep, options.maxAttempts);
  }

  onReady(listener: (endpointIds: readonly string[]) => void): void {
    this.upkeep.onReady(listener);
  }

  /** The days to come have their partitions; an event of another day makes its own. */
  ensureDaysAhead(now: Date): Promise<void> {
    return ensureDaysAhead(this.database, now);
  }

  register(leaseMs: number): Promise<InstanceId> {
    return this.leases.register(leaseMs);
  }

  renew(instance: InstanceId, leaseMs: number): Promise<boolean> {
    return this.leases.renew(instance, leaseMs);
  }

  async reap(): Promise<number> {
    const freed = await this.leases.reap();
    await this.upkeep.sweepWhenDue();
    return freed;
  }

  retire(instance: InstanceId): Promise<void> {
    return this.leases.retire(instance);
  }

  accept(instance: InstanceId, events: readonly CommittedEvent[], room: Room): Promise<Accepted> {
    return this.acceptance.accept(instance, events, room);
  }

  claim(instance: InstanceId, room: Room): Promise<ClaimedDelivery[]> {
    return this.claiming.claim(instance, room);
  }

  nextDueInMs(exceptEndpoints: readonly string[] = []): Promise<number | null> {
    return this.claiming.nextDueInMs(exceptEndpoints);
  }

  openTest(instance: InstanceId, test: TestMessage): Promise<AcceptedDelivery | null> {
    return openTest(this.database, instance, test);
  }

  endpoints(ids: readonly string[]): Promise<Endpoint[]> {
    return readEndpoints(this.db, this.secrets, ids);
  }

  record(instance: InstanceId, results: readonly AttemptResult[]): Promise<string[]> {
    return this.recording.record(instance, results);
  }

  leasedTo(instance: InstanceId): Promise<string[]> {
    return this.leases.leasedTo(instance);
  }

  /** Endpoints of which this instance holds deliveries that are to be given back: their record has been erased. */
  erasedInHands(instance: InstanceId): Promise<string[]> {
    return this.leases.erasedInHands(instance);
  }

  release(instance: InstanceId, deliveryIds: readonly string[]): Promise<void> {
    return this.leases.release(instance, deliveryIds);
  }

  figures(): Promise<QueueFigures> {
    return queueFigures(this.db);
  }

  async turnOff(webhookId: string, reason: 'gone'): Promise<void> {
    this.upkeep.tellReady(await turnOffEndpoint(this.database, webhookId, reason, this.options.maxAttempts));
  }
}
