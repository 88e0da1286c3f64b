import type { OperationName, ReplyOf, RequestOf } from './operations';

/** What is done to the webhooks of one Space. */
export type WebhookOperation = Extract<OperationName, `webhooks.${string}`>;

/** What such an operation is asked, without the Space: that is never the asker's to choose. */
export type WebhookRequest<N extends WebhookOperation> = Omit<RequestOf<N>, 'spaceId'>;

/** The operations that change something, and what the audit log calls each. A test call changes nothing. */
export const webhookDeeds = {
  'webhooks.create': 'webhook.created',
  'webhooks.update': 'webhook.updated',
  'webhooks.delete': 'webhook.deleted',
  'webhooks.pause': 'webhook.paused',
  'webhooks.resume': 'webhook.resumed',
  'webhooks.rotate': 'webhook.rotated',
  'webhooks.resend': 'delivery.resent',
  'webhooks.replay.create': 'replay.created',
  'webhooks.replay.cancel': 'replay.cancelled',
} as const satisfies { readonly [N in WebhookOperation]?: ReplyOf<N> extends { id: string } ? string : never };

export type WebhookDeed = keyof typeof webhookDeeds;
