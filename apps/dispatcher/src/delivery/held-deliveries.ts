/** Ids of the deliveries that are in this process's hands, from the moment they are leased until their result is written. */
export class HeldDeliveries {
  private readonly ids = new Set<string>();
  private suspects = new Set<string>();

  add(id: string): void {
    this.ids.add(id);
  }

  delete(id: string): void {
    this.ids.delete(id);
  }

  /**
   * Of what is leased to us, what is unknown here for the second time in a row: between two looks every answer that is still
   * on its way has arrived or is lost.
   */
  unknownOf(leased: readonly string[]): string[] {
    const unknown = leased.filter((id) => !this.ids.has(id));
    const twice = unknown.filter((id) => this.suspects.has(id));
    this.suspects = new Set(unknown);
    return twice;
  }
}
