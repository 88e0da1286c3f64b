import { spaceNumber, statement, type Database } from '@keyturn/platform/database';

const readSequences = statement(
  'read.sequences',
  `select space_id, sequence from data.space where space_id = any($1::bigint[])`,
);

/** Of a Space that a database does not know: less than any that it knows. */
export const unknownSpace = -1;

/**
 * How far the events of a Space have come, as the primary says it now. Whoever asks while an answer is on its way waits for the
 * next one, which is for all of them: the answer is never older than the question, and there is one statement at a time,
 * however many ask.
 */
export class SpaceSequences {
  private gathering:
    { readonly spaces: Set<string>; readonly answer: Promise<ReadonlyMap<string, number>> } | undefined;
  private underWay: Promise<unknown> = Promise.resolve();

  constructor(private readonly primary: Database) {}

  async of(spaceId: string): Promise<number> {
    const space = spaceNumber(spaceId);
    this.gathering ??= this.gather();
    const { spaces, answer } = this.gathering;
    spaces.add(space);
    return (await answer).get(space) ?? unknownSpace;
  }

  private gather() {
    const spaces = new Set<string>();
    const answer = this.underWay.then(() => {
      this.gathering = undefined;
      return this.ask(spaces);
    });
    this.underWay = answer.catch(() => undefined);
    return { spaces, answer };
  }

  private async ask(spaces: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    const rows = await this.primary
      .acrossSpaces('one question for the reads of several Spaces')
      .query<{ space_id: string; sequence: string }>(readSequences, [[...spaces]]);
    return new Map(rows.map(({ space_id, sequence }) => [space_id, Number(sequence)]));
  }
}
