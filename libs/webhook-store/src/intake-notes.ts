import { statement, type Database } from '@keyturn/platform/database';

/** Nobody has noted anything for so long: dispatchers were away, or this is a copy from then. */
const staleAfterSeconds = 30;

const read = statement(
  'webhooks.intake.read',
  `select stream_created, sequence, noted_at < $1::timestamptz as earlier,
     noted_at < clock_timestamp() - make_interval(secs => ${staleAfterSeconds}) as stale
   from webhooks.intake for update skip locked`,
);
const note = statement(
  'webhooks.intake.note',
  `update webhooks.intake set stream_created = $1, sequence = $2, noted_at = clock_timestamp()
   returning noted_at::text as noted_at`,
);

/** How far a stream has been taken in. */
export interface IntakePosition {
  readonly streamCreated: Date;
  readonly sequence: number;
}

export interface IntakeNote {
  readonly position: IntakePosition | undefined;
  /** Older than what was noted before: the database is not the one that we knew, or nobody was there to note anything. */
  readonly outdated: boolean;
}

/** What dispatchers note in turn of how far the stream is in the database. */
export class IntakeNotes {
  /** When this process last noted something, by the clock of the database. */
  private notedAt: string | undefined;

  constructor(private readonly database: Database) {}

  /**
   * `decide` says what to note, from what was; undefined leaves the note as it is. Nobody else decides meanwhile, and where
   * somebody does just now, nothing is done.
   */
  async renew(decide: (last: IntakeNote) => Promise<IntakePosition | undefined>): Promise<void> {
    await this.database.transaction('one dispatcher at a time', async (tx) => {
      const db = tx.acrossSpaces('the stream holds the events of all Spaces');
      const [row] = await db.query<{
        stream_created: Date | null;
        sequence: string;
        earlier: boolean | null;
        stale: boolean;
      }>(read, [this.notedAt ?? null]);
      if (!row) return;
      const wanted = await decide({
        position: row.stream_created
          ? { streamCreated: row.stream_created, sequence: Number(row.sequence) }
          : undefined,
        outdated: row.earlier === true || row.stale,
      });
      if (!wanted) return;
      const [noted] = await db.query<{ noted_at: string }>(note, [wanted.streamCreated, wanted.sequence]);
      this.notedAt = noted?.noted_at;
    });
  }
}
