/** Of a receiver that was asked whether it wants deliveries. */
export interface Consent {
  /** Requests a minute; null where it named no number. */
  readonly allowedRate: number | null;
}
