import type { Room } from '@keyturn/webhook-store';
import { ConcurrencyLimit } from './concurrency';
import { Lane, slowMs } from './lane';
import type { Outgoing } from './outgoing';
import { Round } from './round';

export interface FairTurnsOptions {
  /** Requests in flight, over all endpoints. */
  readonly maxInFlight: number;
  /** Deliveries in memory, waiting or in flight. */
  readonly maxHeld: number;
  /** Bytes of their bodies. */
  readonly maxHeldBytes: number;
  readonly now?: () => number;
}

/** How many turns the unhurt lanes get before a strained one gets one. */
const turnsBeforeStrained = 3;
/** Of the slots, at most this share is in the hands of endpoints that hang, fail or take their time. */
const strainedShare = 0.5;
/** From this share of the slots on, an endpoint that has not answered what it was given gets nothing more. */
const scarceShare = 0.5;
/** An endpoint in trouble is remembered so long, that each round of its retries does not begin with as many slots as a good one. */
const rememberMs = 3_600_000;
const maxRemembered = 500;

/**
 * Whose delivery goes next: Spaces take turns, and within a Space its endpoints, each within its own limit. Endpoints in
 * trouble, and slow ones, take their turns apart from the others and never hold more than half of the slots; where slots are
 * scarce, nobody takes more of them who is not heard of.
 */
export class FairTurns {
  private readonly lanes = new Map<string, Lane>();
  private readonly unhurt = new Round();
  private readonly strained = new Round();
  /** Lanes whose next delivery waits for its moment. */
  private readonly resting = new Set<Lane>();
  /** Lanes that may not take another slot while slots are scarce. */
  private readonly silent = new Set<Lane>();
  /** Paced deliveries that have missed their moment. */
  private late: Outgoing[] = [];
  private readonly now: () => number;
  private inFlightCount = 0;
  private strainedInFlight = 0;
  private waitingCount = 0;
  private heldBytes = 0;
  private turn = 0;
  private backlog = false;

  constructor(private readonly options: FairTurnsOptions) {
    this.now = options.now ?? (() => performance.now());
  }

  get inFlight(): number {
    return this.inFlightCount;
  }

  get waiting(): number {
    return this.waitingCount;
  }

  get endpoints(): number {
    return this.lanes.size;
  }

  lane(endpointId: string): Lane | undefined {
    return this.lanes.get(endpointId);
  }

  add(delivery: Outgoing): void {
    const lane = this.laneOf(delivery.webhookId, delivery.spaceId);
    lane.add(delivery);
    this.waitingCount++;
    this.heldBytes += delivery.body.length;
    this.offer(lane);
  }

  /** The next delivery to start, its slot taken; undefined while none may start. */
  next(): Outgoing | undefined {
    if (this.inFlightCount >= this.options.maxInFlight) return undefined;
    const strainedMay = this.strainedInFlight < this.options.maxInFlight * strainedShare;
    const strainedFirst = strainedMay && ++this.turn % (turnsBeforeStrained + 1) === 0;
    return (
      (strainedFirst ? this.takeFrom(this.strained) : undefined) ??
      this.takeFrom(this.unhurt) ??
      (strainedMay ? this.takeFrom(this.strained) : undefined)
    );
  }

  /** By `now()`: when a delivery that only waits for its moment may start; undefined where there is none. */
  nextMoment(): number | undefined {
    let earliest: number | undefined;
    const now = this.now();
    for (const lane of this.resting) {
      const at = lane.readyAt(now);
      if (at !== undefined && (earliest === undefined || at < earliest)) earliest = at;
    }
    return earliest;
  }

  /** An attempt is over. `trouble`: the receiver hangs, refuses or is overloaded; what its lane no longer bears comes back. */
  done(
    delivery: Outgoing,
    end: { readonly trouble: boolean; readonly startedAt: number; readonly holdMs: number },
  ): Outgoing[] {
    const lane = this.laneOf(delivery.webhookId, delivery.spaceId);
    const now = this.now();
    if (end.trouble) lane.limit.struggled(end.startedAt, now);
    else lane.limit.succeeded(lane.inFlight);
    if (lane.strained) this.strainedInFlight -= lane.inFlight;
    lane.strained = end.trouble || now - end.startedAt >= slowMs;
    lane.ended(now);
    if (lane.strained) this.strainedInFlight += lane.inFlight;
    this.inFlightCount--;
    this.heldBytes -= delivery.body.length;
    if (end.holdMs) lane.holdUntil = Math.max(lane.holdUntil, now + end.holdMs);
    const overflow = end.trouble ? this.forget(lane.overflow()) : [];
    this.unhurt.remove(lane);
    this.strained.remove(lane);
    this.silent.delete(lane);
    this.offer(lane);
    if (!this.scarce) this.offerSilent();
    return overflow;
  }

  /** What has missed its moment, for whoever gives out moments; it is no longer held here. */
  takeLate(): Outgoing[] {
    const late = this.late;
    if (late.length) this.late = [];
    return late;
  }

  /** Takes out what waits for one endpoint. */
  clear(endpointId: string): Outgoing[] {
    const lane = this.lanes.get(endpointId);
    return lane ? this.forget(lane.clear()) : [];
  }

  /** Takes out everything that waits. */
  clearAll(): Outgoing[] {
    return [...this.lanes.values()].flatMap((lane) => this.forget(lane.clear()));
  }

  /** What the process can still take: in all, of an endpoint that is not known here, and of those that are. */
  room(): Room {
    return this.roomBy((lane) => lane.room, this.totalRoom());
  }

  /** The same for a claim, which is worth its while only where there is a good deal of room. */
  claimRoom(): Room {
    const total = this.totalRoom();
    return this.roomBy((lane) => lane.claimRoom, total * 2 >= this.options.maxHeld ? total : 0);
  }

  /** What a claim has brought says where more is waiting. */
  claimed(deliveries: readonly { readonly webhookId: string }[], room: Room): void {
    const counts = new Map<string, number>();
    for (const { webhookId } of deliveries) counts.set(webhookId, (counts.get(webhookId) ?? 0) + 1);
    for (const [webhookId, count] of counts) {
      const lane = this.lanes.get(webhookId);
      if (lane) lane.backlog = count >= (room.ofEndpoint.get(webhookId) ?? room.perEndpoint);
    }
    this.backlog = deliveries.length >= room.total;
  }

  /** Deliveries of this endpoint have stayed in the database. True where a claim would bring some of them at once. */
  leftBehind(endpointId: string): boolean {
    const lane = this.lanes.get(endpointId);
    if (!lane) return true;
    lane.backlog = true;
    return lane.claimRoom > 0 && lane.holdUntil <= this.now();
  }

  /** The lane of this delivery has emptied, and there is more to be claimed for it; or the process as a whole has. */
  thirsty(delivery: Outgoing): boolean {
    const lane = this.lanes.get(delivery.webhookId);
    if (lane?.backlog && lane.claimRoom > 0 && lane.holdUntil <= this.now()) return true;
    return this.backlog && this.totalRoom() * 2 >= this.options.maxHeld;
  }

  private totalRoom(): number {
    if (this.heldBytes >= this.options.maxHeldBytes) return 0;
    return Math.max(0, this.options.maxHeld - this.waitingCount - this.inFlightCount);
  }

  private roomBy(roomOf: (lane: Lane) => number, total: number): Room {
    const ofEndpoint = new Map<string, number>();
    const perEndpoint = Lane.capacity(ConcurrencyLimit.start);
    const now = this.now();
    for (const lane of this.lanes.values()) {
      const room = lane.holdUntil > now ? 0 : roomOf(lane);
      if (room !== perEndpoint) ofEndpoint.set(lane.endpointId, room);
    }
    return { total, perEndpoint, ofEndpoint };
  }

  /** Forgets lanes that have had no work since the last sweep: their limits are learnt anew. */
  sweep(): void {
    const now = this.now();
    let remembered = 0;
    for (const lane of this.lanes.values()) {
      if (lane.used) lane.usedAt = now;
      const needed = lane.used || !lane.idle || lane.holdUntil > now;
      lane.used = false;
      if (needed || (lane.strained && now - lane.usedAt < rememberMs && remembered++ < maxRemembered)) continue;
      this.lanes.delete(lane.endpointId);
    }
  }

  private get scarce(): boolean {
    return this.inFlightCount >= this.options.maxInFlight * scarceShare;
  }

  private offerSilent(): void {
    const lanes = [...this.silent];
    this.silent.clear();
    for (const lane of lanes) this.offer(lane);
  }

  private takeFrom(round: Round): Outgoing | undefined {
    const now = this.now();
    for (let lane = round.next(); lane; lane = round.next()) {
      this.late.push(...this.forget(lane.takeLate(now)));
      const at = lane.readyAt(now);
      if (at === undefined || at > now) {
        round.remove(lane);
        this.offer(lane);
        continue;
      }
      if (this.scarce && lane.silent(now)) {
        round.remove(lane);
        this.silent.add(lane);
        continue;
      }
      const delivery = lane.start(now) as Outgoing;
      if (lane.strained) this.strainedInFlight++;
      this.inFlightCount++;
      this.waitingCount--;
      return delivery;
    }
    return undefined;
  }

  /** A lane takes part in the turns while something of it may start at once, and rests while that is to come. */
  private offer(lane: Lane): void {
    const now = this.now();
    const at = lane.readyAt(now);
    if (at === undefined) return;
    if (at <= now) (lane.strained ? this.strained : this.unhurt).add(lane);
    else this.resting.add(lane);
  }

  /** Lanes whose moment has come take part again. */
  wake(): void {
    const rested = [...this.resting];
    this.resting.clear();
    for (const lane of rested) this.offer(lane);
  }

  private forget(deliveries: Outgoing[]): Outgoing[] {
    this.waitingCount -= deliveries.length;
    for (const { body } of deliveries) this.heldBytes -= body.length;
    return deliveries;
  }

  private laneOf(endpointId: string, spaceId: string): Lane {
    let lane = this.lanes.get(endpointId);
    if (!lane) {
      lane = new Lane(endpointId, spaceId);
      this.lanes.set(endpointId, lane);
    }
    lane.used = true;
    return lane;
  }
}
