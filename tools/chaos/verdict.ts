import type { Moments } from './faults';
import type { PublishedState } from './publisher';
import type { Sighting } from './receivers';
import type { RecordState } from './record-state';

const nameOf = ({ record, version }: RecordState) => `${record}:${version}`;

/** When each state was first accepted. */
export function acceptances(sightings: readonly Sighting[]): Map<string, number> {
  const first = new Map<string, number>();
  for (const sighting of sightings)
    if (sighting.acceptedAt !== undefined && !first.has(nameOf(sighting)))
      first.set(nameOf(sighting), sighting.acceptedAt);
  return first;
}

/** What was published and never accepted. */
export function missing(published: readonly PublishedState[], sightings: readonly Sighting[]): string[] {
  const accepted = acceptances(sightings);
  return published.map(nameOf).filter((name) => !accepted.has(name));
}

/** What a subscriber was told that nobody had published. */
export function invented(published: readonly PublishedState[], sightings: readonly Sighting[]): string[] {
  const names = new Set(published.map(nameOf));
  return sightings.map(nameOf).filter((name) => !names.has(name));
}

export interface Repeats {
  /** Accepted once more. */
  readonly again: number;
  /** States that came under more than one id, or ids that came with other bytes. */
  readonly unlike: number;
}

export function repeats(sightings: readonly Sighting[]): Repeats {
  const accepted = new Set<string>();
  const identities = new Map<string, Set<string>>();
  let again = 0;
  for (const sighting of sightings) {
    const name = nameOf(sighting);
    identities.set(name, (identities.get(name) ?? new Set()).add(`${sighting.messageId} ${sighting.digest}`));
    if (sighting.acceptedAt === undefined) continue;
    if (accepted.has(name)) again++;
    accepted.add(name);
  }
  return { again, unlike: [...identities.values()].filter(({ size }) => size > 1).length };
}

/** States that came before the one before them of the same record had been accepted. */
export function overtakings(sightings: readonly Sighting[]): string[] {
  const accepted = acceptances(sightings);
  const seen = new Set<string>();
  return sightings.flatMap((sighting) => {
    const name = nameOf(sighting);
    if (seen.has(name)) return [];
    seen.add(name);
    if (sighting.version === 1) return [];
    const before = accepted.get(nameOf({ record: sighting.record, version: sighting.version - 1 }));
    return before !== undefined && before <= sighting.at ? [] : [name];
  });
}

/**
 * Of what the stream had taken before the fault was over, how long after that the last of it was accepted, in ms; undefined
 * while something has not been.
 */
export function takenOverAfter(
  published: readonly PublishedState[],
  sightings: readonly Sighting[],
  { over }: Moments,
): number | undefined {
  const accepted = acceptances(sightings);
  let longest = 0;
  for (const state of published) {
    if (state.takenAt > over) continue;
    const at = accepted.get(nameOf(state));
    if (at === undefined) return undefined;
    longest = Math.max(longest, at - over);
  }
  return longest;
}
