/** How often a condition is looked at. Short: most of them become true within a few milliseconds. */
const POLL_MS = 10;

/**
 * Waits until `look` returns something truthy, and returns it. Never sleeps longer than it must; fails after `timeoutMs`
 * with what was being waited for. What `look` throws counts as "not yet" and is shown at the end.
 */
export async function waitFor<T>(
  what: string,
  look: () => T | Promise<T>,
  timeoutMs = 10_000,
): Promise<Exclude<T, undefined | null | false | 0 | ''>> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const seen = await look();
      if (seen) return seen as Exclude<T, undefined | null | false | 0 | ''>;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms for: ${what}`, { cause: lastError });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
