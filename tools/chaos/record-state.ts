/** One state of one record: what a publisher sends and a receiver is told. */
export interface RecordState {
  readonly record: number;
  /** 1 as it was created, one more with each change. */
  readonly version: number;
}
