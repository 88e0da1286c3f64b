/** One line of the outcome. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The most that is right; null where the value is only told. */
  readonly limit: number | null;
  readonly ok: boolean;
}

/** Figures as JSON lines on stdout, in the order in which they are added; a table for people at the end. */
export class Figures {
  private readonly all: Figure[] = [];

  add(name: string, value: number, unit: string, limit: number | null = null): void {
    const figure = { name, value: Math.round(value), unit, limit, ok: limit === null || value <= limit };
    this.all.push(figure);
    process.stdout.write(`${JSON.stringify(figure)}\n`);
  }

  get ok(): boolean {
    return this.all.every(({ ok }) => ok);
  }

  summary(): string {
    const width = Math.max(...this.all.map(({ name }) => name.length));
    const lines = this.all.map(({ name, value, unit, limit, ok }) => {
      const bound = limit === null ? '' : `  (at most ${limit})`;
      return `${ok ? '  ' : '! '}${name.padEnd(width)}  ${value} ${unit}${bound}`;
    });
    return [...lines, this.ok ? 'Nothing was lost.' : 'VIOLATED: see the lines with "!".'].join('\n');
  }
}

/** What a person reads while it runs; the figures alone stand on stdout. */
export const say = (text: string) => process.stderr.write(`${text}\n`);
