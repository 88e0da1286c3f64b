/** What the events about a webhook itself say of it. Every key is always there; what is unknown is null (T-122). */
export interface OperationalData {
  /** It fails, and goes off when that does not end: told at 50, 75 and 90 percent of the threshold, once each. */
  'webhook.failing': WebhookInTrouble & { reason: FailureReason; percent: number };
  /** It is off. `gone`: its endpoint answered 410, which says nothing of its figures. */
  'webhook.disabled': WebhookInTrouble & { reason: FailureReason | 'gone' };
  /** It is on again, or has stopped failing after a warning. */
  'webhook.recovered': WebhookNamed;
}

export type OperationalEvent = keyof OperationalData;

/** Which threshold: no success for days, or too large a share of failures. */
export type FailureReason = 'no_success' | 'failure_rate';

export interface WebhookNamed {
  /** `wh_<n>` */
  webhookId: string;
  name: string;
  url: string;
}

export interface WebhookInTrouble extends WebhookNamed {
  /** Of the first failure behind the last success. */
  failingSince: string | null;
  consecutiveFailures: number | null;
  attemptsLastDay: number | null;
  failuresLastDay: number | null;
}
