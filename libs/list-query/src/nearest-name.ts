/** The name that was probably meant: the nearest by edits, if it is near at all. */
export function nearestName(given: string, names: readonly string[]): string | undefined {
  const wanted = given.toLowerCase();
  const allowance = Math.max(2, Math.floor(wanted.length / 3));
  let nearest: string | undefined;
  let best = allowance + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name.toLowerCase(), best);
    if (distance < best) {
      nearest = name;
      best = distance;
    }
  }
  return nearest;
}

/** Levenshtein's distance; anything from `limit` on comes back as `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + cost));
    }
    row = next;
  }
  return Math.min(row[b.length] ?? limit, limit);
}
