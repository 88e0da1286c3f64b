/** Something to wait on: a call of `now` ends the wait, also one that came before it. */
export class Wake {
  private pending = false;
  private resolve: ((called: boolean) => void) | undefined;

  now(): void {
    if (this.resolve) this.resolve(true);
    else this.pending = true;
  }

  /** True when `now` was called within that time. */
  async within(ms: number): Promise<boolean> {
    if (this.pending) {
      this.pending = false;
      return true;
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.resolve?.(false), ms);
      this.resolve = (called) => {
        clearTimeout(timer);
        this.resolve = undefined;
        resolve(called);
      };
    });
  }
}
