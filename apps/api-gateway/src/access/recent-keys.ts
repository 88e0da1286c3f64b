/**
 * The hashes of keys that have lately been good on this replica. A hint and nothing more: whoever is in it goes straight to
 * admission, which decides. Bounded: the one that was used longest ago is forgotten first.
 */
export class RecentKeys {
  private readonly hashes = new Set<string>();

  constructor(private readonly max = 50_000) {}

  has(sha256: string): boolean {
    return this.hashes.has(sha256);
  }

  add(sha256: string): void {
    // Last in the set is last to be forgotten.
    this.hashes.delete(sha256);
    this.hashes.add(sha256);
    if (this.hashes.size <= this.max) return;
    for (const oldest of this.hashes) {
      this.hashes.delete(oldest);
      return;
    }
  }

  delete(sha256: string): void {
    this.hashes.delete(sha256);
  }
}
