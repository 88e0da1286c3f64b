import { NatsError } from 'nats';
import type { Rejection } from '@keyturn/contracts';
import type { Log } from '@keyturn/platform/logs';
import type { NatsLink } from '@keyturn/platform/nats';
import { prepareEvent, type PreparedEvent } from './prepared-event';
import { resume } from './resume';
import { StreamReader, streamState, type StreamMessage } from './stream-reader';
import type { StreamPosition } from './write';

/** A message that waits to be applied, already read. */
export interface Incoming extends StreamMessage {
  readonly prepared: PreparedEvent | Rejection;
}

/** Of one stream at most so much waits here. */
const buffer = { maxMessages: 600, maxBytes: 4 * 1024 * 1024 };
const retryMs = 500;

/**
 * What comes from one stream, in order, from its position on. Reads ahead into a bounded buffer; a broken reader is opened
 * again at the position, with a look at whether the stream is still the one that was read.
 */
export class Intake {
  private waiting: Incoming[] = [];
  private reader: StreamReader | undefined;
  /** The reader broke: what waits is read again from the position. */
  private broken = false;
  private opening = false;
  private retryAt = 0;
  private stopped = false;
  private created: Date | null;
  private behind = 0;

  constructor(
    private position: StreamPosition,
    private readonly link: NatsLink,
    private readonly log: Log,
    /** Called when there may be something to do. */
    private readonly wake: () => void,
  ) {
    this.created = position.streamCreated;
  }

  get stream(): string {
    return this.position.stream;
  }

  /** The position as the database has it. */
  get committed(): StreamPosition {
    return this.position;
  }

  get size(): number {
    return this.broken ? 0 : this.waiting.length;
  }

  /** Messages in the stream that are not applied yet. */
  get lag(): number {
    return this.waiting.length + this.behind;
  }

  /** Opens the reader if it is not open. Only to be called while no batch of this stream is being applied. */
  keepOpen(): void {
    if (this.reader || this.opening || this.stopped || performance.now() < this.retryAt) return;
    this.opening = true;
    void this.open().finally(() => {
      this.opening = false;
      this.wake();
    });
  }

  /** The next messages, without taking them out. */
  next(maxMessages: number, maxBytes: number): readonly Incoming[] {
    let bytes = 0;
    let count = 0;
    for (const { bytes: message } of this.waiting) {
      bytes += message.length;
      if (count === maxMessages || (count > 0 && bytes > maxBytes)) break;
      count++;
    }
    return this.waiting.slice(0, count);
  }

  /** Where the position is once this message is applied. */
  positionAt(message: Incoming): StreamPosition {
    return {
      stream: this.stream,
      sequence: message.sequence,
      moment: message.storedAt,
      streamCreated: this.created,
    };
  }

  /** The first messages are applied, and committed. */
  done(count: number, position: StreamPosition): void {
    this.position = position;
    if (this.broken) return;
    const bytes = this.waiting.splice(0, count).reduce((sum, message) => sum + message.bytes.length, 0);
    this.reader?.release(count, bytes);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.waiting = [];
    await this.reader?.stop();
  }

  private async open(): Promise<void> {
    this.waiting = [];
    this.broken = false;
    try {
      const stream = await this.link.whileConnected(this.stateOfStream());
      const { from, note } = resume(this.position, stream);
      if (note) this.log.warn({ stream: this.stream, position: this.position.sequence, from, ...stream }, note);
      this.created = stream.created;
      const reader = await StreamReader.open(this.link, from, {
        stream: this.stream,
        ...buffer,
        onMessage: (message) => this.arrive(message),
        onBroken: (reason) => this.onBroken(reason),
      });
      if (this.stopped) await reader.stop();
      else if (reader.isOpen) this.reader = reader;
    } catch (error) {
      this.retryAt = performance.now() + retryMs;
      this.log.warn({ stream: this.stream, error: String(error) }, 'stream cannot be read');
    }
  }

  private async stateOfStream() {
    const state = await streamState(this.link, this.stream);
    if (!state) throw new Error('the stream is not there');
    return { ...state, storedAtPosition: await this.storedAt(this.position.sequence) };
  }

  private async storedAt(sequence: number): Promise<Date | undefined> {
    if (sequence === 0) return undefined;
    try {
      const manager = await this.link.manager();
      return (await manager.streams.getMessage(this.stream, { seq: sequence })).time;
    } catch (error) {
      if (error instanceof NatsError && error.api_error?.code === 404) return undefined;
      throw error;
    }
  }

  private arrive(message: StreamMessage): void {
    this.behind = message.pending;
    this.waiting.push({ ...message, prepared: prepareEvent(message.subject, message.bytes) });
    this.wake();
  }

  private onBroken(reason: string): void {
    this.reader = undefined;
    this.broken = true;
    this.log.warn({ stream: this.stream, reason }, 'reading is interrupted');
    this.wake();
  }
}
