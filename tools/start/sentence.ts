/** Why the system cannot run, as one sentence for the person who started it. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart';
}

/** Somebody asked to stop while the system was still coming up. */
export class Stopped extends Error {
  override readonly name = 'Stopped';
}

export function say(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}
