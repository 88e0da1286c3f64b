import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import {
  ApiError,
  notFound,
  testEventName,
  unavailable,
  webhookPayload,
  type CommittedEvent,
} from '@keyturn/contracts';
import { newUlid } from '@keyturn/platform/ids';
import { Log } from '@keyturn/platform/logs';
import { NatsLink } from '@keyturn/platform/nats';
import { Drain, Health, SETTINGS } from '@keyturn/platform/service';
import { currentSpan, traceIdOf, within } from '@keyturn/platform/tracing';
import {
  decodeHint,
  hintSubject,
  PostgresDispatchStore,
  thinPayload,
  type AcceptedDelivery,
  type AttemptResult,
  type ClaimedDelivery,
  type InstanceId,
  type Room,
} from '@keyturn/webhook-store';
import type { Subscription } from 'nats';
import type { DispatcherSettings } from '../dispatcher.settings';
import { Exchange } from '../outbound/exchange';
import { Claimer } from './claimer';
import { DispatchMetrics } from './dispatch-metrics';
import { EndpointBook, type Recipient } from './endpoint-book';
import { EventIntake } from './event-intake';
import { FairTurns } from './fair-turns';
import { HeldDeliveries } from './held-deliveries';
import { InstanceLease } from './instance-lease';
import type { Outgoing } from './outgoing';
import { Recorder } from './recorder';
import { effectOf, Sender, type Report } from './sender';
import { takeTraced } from './traced-events';

/** Deliveries in memory; what is beyond them waits in the database. */
const maxHeld = 2_000;
const maxHeldBytes = 48 * 1024 * 1024;
/** Results that are not written yet: above it the database is too slow, or away, and nothing new is started. */
const maxUnwritten = 4_000;
/** A result is in the database after about so long, and its delay counts from there. */
const recordedWithinMs = 10;
/** When this process ends: a database that is well takes no longer, and one that is away is not waited for. */
const recordWithinMs = 3_000;
const sweepMs = 6_000;
/** What was leased to us by an answer that got lost goes back after two looks, well within the 10 s of a takeover. */
const reconcileMs = 2_000;
/** A state in which a delivery of this reason is sent. */
const sendable = (state: string, reason: Outgoing['reason']) =>
  state === 'active' || (state === 'disabled' && reason === 'probe');

/** The data plane: takes events in, gives every endpoint its turns, sends, and writes down what happened. */
@Injectable()
export class DispatchEngine implements OnApplicationBootstrap {
  private readonly turns: FairTurns;
  private readonly book: EndpointBook;
  private readonly sender: Sender;
  private readonly recorder: Recorder;
  private readonly lease: InstanceLease;
  private readonly claimer: Claimer;
  private readonly intake: EventIntake;
  private readonly underWay = new Set<Promise<void>>();
  private readonly held = new HeldDeliveries();
  private readonly attemptLog: Log;
  private hints: Subscription | undefined;
  private moment: NodeJS.Timeout | undefined;
  private sweeper: NodeJS.Timeout | undefined;
  private reconciler: NodeJS.Timeout | undefined;
  private stopping = false;

  constructor(
    @Inject(SETTINGS) settings: DispatcherSettings,
    private readonly store: PostgresDispatchStore,
    exchange: Exchange,
    private readonly link: NatsLink,
    private readonly log: Log,
    private readonly metrics: DispatchMetrics,
    private readonly drain: Drain,
    health: Health,
  ) {
    this.attemptLog = log.unsearched();
    this.turns = new FairTurns({ maxInFlight: settings.maxInFlight, maxHeld, maxHeldBytes });
    this.book = new EndpointBook(store);
    this.sender = new Sender(
      exchange,
      { scheduleMs: settings.retryScheduleMs, jitter: settings.retryJitter },
      settings.origin,
      log,
    );
    this.recorder = new Recorder(store, log, {
      onWritten: (results) => {
        for (const { deliveryId, effect } of results) if (effect.kind !== 'repeat') this.held.delete(deliveryId);
        this.pump();
      },
      onRefused: (count) => metrics.refused.inc(count),
    });
    this.lease = new InstanceLease(store, log, {
      leaseMs: settings.leaseMs,
      onHeld: () => this.pump(),
      onLost: () => this.dropHeld(),
      onFreed: () => this.claimer.wake(),
    });
    this.claimer = new Claimer(store, log, {
      instance: () => (this.stopping ? undefined : this.lease.id),
      room: () => this.turns.claimRoom(),
      take: (instance, deliveries, room) => this.takeClaimed(instance, deliveries, room),
    });
    this.intake = new EventIntake(link, log, {
      accept: (events) => takeTraced(events, (traced) => this.accept(traced)),
      onGarbage: () => metrics.garbage.inc(),
    });
    store.onReady(() => this.claimer.wake());
    store.onReady((endpointIds) => this.readyInDatabase(endpointIds));
    metrics.observe({
      inFlight: () => this.turns.inFlight,
      waiting: () => this.turns.waiting,
      endpoints: () => this.turns.endpoints,
      unwritten: () => this.recorder.pending,
      streamLag: () => this.intake.lag(),
      figures: () => this.store.figures(),
    });
    health.add('lease', () =>
      this.lease.id === undefined ? Promise.reject(new Error('no lease')) : Promise.resolve(),
    );
  }

  onApplicationBootstrap(): void {
    this.lease.start();
    this.claimer.start();
    this.intake.start();
    void this.link.whenConnected().then((connection) => {
      this.hints = connection.subscribe(hintSubject, {
        callback: (error, message) => {
          const hint = error ? undefined : decodeHint(message.data);
          if (hint?.giveBack) void this.giveBack([hint.endpointId]);
          else if (hint) void this.endpointChanged(hint.endpointId);
        },
      });
    });
    this.sweeper = setInterval(() => this.turns.sweep(), sweepMs);
    this.reconcileLater();
    this.drain.on('deliveries', () => this.stop());
  }

  /** Takes nothing more, ends what is in flight, writes it down, and leaves the rest to others. */
  async stop(): Promise<void> {
    if (this.stopping) return;
    await this.intake.stop();
    this.stopping = true;
    this.hints?.unsubscribe();
    await this.claimer.stop();
    clearTimeout(this.moment);
    clearInterval(this.sweeper);
    clearTimeout(this.reconciler);
    this.turns.clearAll();
    await Promise.all(this.underWay);
    await this.recorder.finish(recordWithinMs);
    await this.lease.stop();
  }

  /** One attempt of the test event, whatever the endpoint's events and state say; answers when it is written (T-091). */
  async sendTest(spaceId: string, webhookId: string): Promise<string> {
    const instance = this.stopping ? undefined : this.lease.id;
    if (instance === undefined) throw unavailable('this dispatcher holds no lease');
    const time = new Date().toISOString();
    const data = {
      webhookId,
      message: 'This is a test event: the endpoint is reached and its signature can be checked.',
    };
    const payload = Buffer.from(webhookPayload(testEventName, JSON.stringify(data), time), 'utf8');
    const messageId = `evt_${newUlid()}`;
    const opened = await this.store.openTest(instance, { messageId, spaceId, webhookId, time, payload });
    if (!opened) throw notFound('Webhook not found or not in your Space');
    await this.book.prepare([opened]);
    const recipient = this.book.get(opened.webhookId);
    if (!recipient || !recipient.keys.length) throw notFound('Webhook not found or not in your Space');
    this.held.add(opened.id);
    const delivery: Outgoing = {
      instance,
      id: opened.id,
      messageId,
      webhookId: opened.webhookId,
      spaceId,
      event: testEventName,
      body: payload,
      committedAt: Date.parse(time),
      traceparent: currentSpan()?.traceparent,
      attempts: 0,
      attemptsBefore: 0,
      reason: 'test',
      notBefore: 0,
      putOff: false,
    };
    try {
      const report = await this.sender.send(delivery, recipient, (each) => this.observe(each));
      // Also 410: a test reports, it does not decide.
      await this.store.record(instance, [resultOf(report)]);
    } finally {
      this.held.delete(delivery.id);
    }
    return `dlv_${delivery.id}`;
  }

  private async accept(events: readonly CommittedEvent[]): Promise<void> {
    const instance = this.lease.id;
    if (instance === undefined) throw new ApiError('UNAVAILABLE', 'this dispatcher holds no lease');
    const room = this.turns.room();
    const { leased, waiting, waitingOf } = await this.store.accept(instance, events, room);
    this.metrics.accepted.inc(leased.length + waiting);
    await this.hold(leased);
    const byId = new Map(events.map((event) => [event.id, event]));
    for (const { id, messageId, webhookId, thin } of leased) {
      const event = byId.get(messageId) as CommittedEvent;
      this.enqueue({
        instance,
        id,
        messageId,
        webhookId,
        spaceId: event.spaceId,
        event: event.event,
        body: thin ? thinPayload(event) : event.payload,
        committedAt: Date.parse(event.committedAt),
        traceparent: event.traceparent,
        attempts: 0,
        attemptsBefore: 0,
        reason: 'first',
        notBefore: 0,
        putOff: false,
      });
    }
    // What goes on from here is for whoever has something due.
    within(undefined, () => {
      this.readyInDatabase(waitingOf);
      this.pump();
    });
  }

  /** Deliveries of these endpoints are due and with nobody. */
  private readyInDatabase(endpointIds: readonly string[]): void {
    let claimable = false;
    for (const endpointId of endpointIds) if (this.turns.leftBehind(endpointId)) claimable = true;
    if (claimable) this.claimer.wake();
  }

  private async takeClaimed(instance: InstanceId, deliveries: readonly ClaimedDelivery[], room: Room): Promise<void> {
    await this.hold(deliveries);
    const now = performance.now();
    for (const delivery of deliveries)
      this.enqueue({
        instance,
        id: delivery.id,
        messageId: delivery.messageId,
        webhookId: delivery.webhookId,
        spaceId: delivery.spaceId,
        event: delivery.event,
        body: delivery.thin ? thinPayload(delivery) : delivery.payload,
        committedAt: Date.parse(delivery.committedAt),
        traceparent: delivery.traceparent,
        attempts: delivery.attempts,
        attemptsBefore: delivery.attemptsBefore,
        reason: delivery.reason,
        notBefore: delivery.notBeforeInMs > 0 ? now + delivery.notBeforeInMs : 0,
        putOff: delivery.putOff,
      });
    this.turns.claimed(deliveries, room);
    this.pump();
  }

  /** They are in our hands before their endpoints' settings are: reading those may take longer than {@link reconcile} waits. */
  private async hold(deliveries: readonly AcceptedDelivery[]): Promise<void> {
    for (const { id } of deliveries) this.held.add(id);
    try {
      await this.book.prepare(deliveries);
    } catch (error) {
      for (const { id } of deliveries) this.held.delete(id);
      throw error;
    }
  }

  private enqueue(delivery: Outgoing): void {
    if (this.mayBeSent(delivery)) this.turns.add(delivery);
    else this.held.delete(delivery.id);
  }

  private mayBeSent(delivery: Outgoing): boolean {
    // The lease may have been lost while the database answered.
    if (this.lease.id !== delivery.instance || this.stopping) return false;
    const recipient = this.book.get(delivery.webhookId);
    if (recipient?.endpoint.state === 'active' && !recipient.keys.length) {
      // Left to the next look at what is leased to us: it is tried again every few seconds, until somebody mends the setting.
      this.log.error(
        { webhookId: `wh_${delivery.webhookId}` },
        'signing secret cannot be opened: SECRETS_KEY has changed',
      );
      return false;
    }
    return true;
  }

  /** Starts whatever may start. */
  private pump(): void {
    while (!this.stopping && this.lease.id !== undefined && this.recorder.pending < maxUnwritten) {
      const delivery = this.turns.next();
      if (!delivery) break;
      const sending = this.send(delivery).finally(() => this.underWay.delete(sending));
      this.underWay.add(sending);
    }
    const late = this.turns.takeLate();
    if (late.length) void this.release(late).then(() => this.claimer.wake());
    this.armMoment();
  }

  /** Deliveries of a paced endpoint, and of one that has asked for quiet, start when their moment has come. */
  private armMoment(): void {
    const next = this.stopping ? undefined : this.turns.nextMoment();
    clearTimeout(this.moment);
    this.moment = undefined;
    if (next === undefined) return;
    this.moment = setTimeout(
      () => {
        this.turns.wake();
        this.pump();
      },
      Math.max(0, Math.ceil(next - performance.now())),
    );
  }

  private async send(delivery: Outgoing): Promise<void> {
    const startedAt = performance.now();
    const recipient = this.book.get(delivery.webhookId);
    if (!recipient || !recipient.keys.length || !sendable(recipient.endpoint.state, delivery.reason)) {
      this.turns.done(delivery, { trouble: false, startedAt, holdMs: 0 });
      await this.release([delivery]);
      return;
    }
    const { decision, trouble } = await this.sender.send(delivery, recipient, (report) => {
      this.observe(report);
      this.recorder.add(delivery.instance, resultOf(report));
    });
    const overflow = this.turns.done(delivery, {
      trouble,
      startedAt,
      holdMs: decision.kind === 'retry' ? decision.holdMs : 0,
    });
    if (decision.kind === 'retry') this.claimer.wakeIn(decision.inMs + recordedWithinMs);
    if (this.turns.thirsty(delivery)) this.claimer.thirst();
    this.pump();
    if (overflow.length) await this.release(overflow);
    if (decision.kind === 'gone') await this.turnOff(recipient);
  }

  private async turnOff({ endpoint }: Recipient): Promise<void> {
    const held = this.turns.clear(endpoint.id);
    await this.tell('endpoint not turned off', () => this.store.turnOff(endpoint.id, 'gone'));
    await this.endpointChanged(endpoint.id);
    await this.release(held);
  }

  /** Whatever has changed, what is held of the endpoint follows it, and what has become due is claimed. */
  private async endpointChanged(endpointId: string): Promise<void> {
    if (this.book.get(endpointId)) {
      const recipient = await this.tell('endpoint not read', () => this.book.refresh(endpointId));
      if (recipient && recipient.endpoint.state !== 'active') await this.release(this.turns.clear(endpointId));
    }
    this.claimer.wake();
  }

  /** What waits here of these endpoints returns to the queue, where what has been erased of it ends. */
  private async giveBack(endpointIds: readonly string[]): Promise<void> {
    await this.release(endpointIds.flatMap((endpointId) => this.turns.clear(endpointId)));
    this.claimer.wake();
  }

  private async release(deliveries: readonly Outgoing[]): Promise<void> {
    const instance = this.lease.id;
    const mine = deliveries.filter((delivery) => delivery.instance === instance).map(({ id }) => id);
    // What could not be released is found by the next look at what is leased to us.
    for (const { id } of deliveries) this.held.delete(id);
    if (instance !== undefined && mine.length)
      await this.tell('deliveries not released', () => this.store.release(instance, mine));
  }

  /** Looks lie so far apart in any case: an interval that a busy process was late for would make two in one breath. */
  private reconcileLater(): void {
    if (this.stopping) return;
    this.reconciler = setTimeout(() => void this.reconcile().finally(() => this.reconcileLater()), reconcileMs);
  }

  /** The database may have leased us something and its answer may have got lost: what nobody here knows goes back. */
  private async reconcile(): Promise<void> {
    const instance = this.lease.id;
    if (instance === undefined) return;
    await this.tell('leases not compared', async () => {
      const unknown = this.held.unknownOf(await this.store.leasedTo(instance));
      if (!unknown.length || this.stopping) return;
      this.log.warn({ count: unknown.length }, 'deliveries leased to us that we do not know');
      await this.store.release(instance, unknown);
      this.claimer.wake();
    });
  }

  /** For what is worth doing but not worth failing for: the lease or the next look at the database makes good for it. */
  private async tell<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.log.warn({ error: String(error) }, what);
      return undefined;
    }
  }

  /** What is held under a lost lease belongs to others; what is in flight ends, and its result counts no more. */
  private dropHeld(): void {
    for (const { id } of this.turns.clearAll()) this.held.delete(id);
  }

  private observe(report: Report): void {
    this.metrics.attempt(report);
    const { delivery, attempt, decision } = report;
    this.attemptLog.info(
      {
        spaceId: delivery.spaceId,
        webhookId: `wh_${delivery.webhookId}`,
        deliveryId: `dlv_${delivery.id}`,
        messageId: delivery.messageId,
        event: delivery.event,
        attempt: attempt.number,
        reason: attempt.reason,
        status: attempt.status,
        fault: attempt.faultClass,
        error: attempt.error,
        address: attempt.address,
        durationMs: Math.round(attempt.totalMs),
        decision: decision.kind,
        ...(decision.kind === 'retry' ? { retryInMs: decision.inMs } : {}),
        ...(delivery.traceparent ? { traceId: traceIdOf(delivery.traceparent) } : {}),
      },
      'delivery attempted',
    );
  }
}

const resultOf = ({ delivery, attempt, decision }: Report): AttemptResult => ({
  deliveryId: delivery.id,
  committedAt: delivery.committedAt,
  attempt,
  effect: effectOf(decision),
});
