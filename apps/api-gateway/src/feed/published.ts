import { Injectable } from '@nestjs/common';
import { NatsLink } from '@keyturn/platform/nats';
import type { Subscription } from 'nats';

interface Space {
  readonly subscription: Subscription;
  readonly hearers: Set<() => void>;
}

/**
 * Tells who waits that a Space has published something. A message carries the whole payload, so a Space is subscribed to once,
 * however many wait for it.
 */
@Injectable()
export class Published {
  private readonly spaces = new Map<string, Space>();

  constructor(private readonly link: NatsLink) {}

  /** Calls `hearer` with each message until the function that it returns is called. */
  hear(spaceId: string, hearer: () => void): () => void {
    const known = this.spaces.get(spaceId);
    const space = known && !known.subscription.isClosed() ? known : this.open(spaceId);
    space.hearers.add(hearer);
    return () => {
      space.hearers.delete(hearer);
      if (space.hearers.size) return;
      if (this.spaces.get(spaceId) === space) this.spaces.delete(spaceId);
      space.subscription.unsubscribe();
    };
  }

  private open(spaceId: string): Space {
    const hearers = new Set<() => void>();
    const callback = () => {
      for (const hearer of hearers) hearer();
    };
    const space = { hearers, subscription: this.link.connection().subscribe(`events.${spaceId}.>`, { callback }) };
    this.spaces.set(spaceId, space);
    return space;
  }
}
