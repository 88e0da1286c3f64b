/** A domain event as a publisher sends it: CloudEvents 1.0, structured JSON (DESIGN §4). */
export interface DomainCloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly spaceid: string;
  readonly subject?: string;
  readonly time: string;
  readonly datacontenttype?: 'application/json';
  readonly entityversion?: number;
  readonly backfill?: boolean;
  readonly traceparent?: string;
  readonly data: object;
}

/** `domain.<spaceId>.<entity>.<action>`, or `backfill.…` for a first load. */
export const subjectOf = (event: Pick<DomainCloudEvent, 'spaceid' | 'type' | 'backfill'>) =>
  `${event.backfill ? 'backfill' : 'domain'}.${event.spaceid}.${event.type}`;
