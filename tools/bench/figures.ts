/** One line of a benchmark: this system's figure, the bare reference of the same run, and their ratio (DESIGN §5). */
export interface Figure {
  readonly name: string;
  readonly product: number;
  readonly reference: number | null;
  readonly ratio: number | null;
  readonly unit: string;
}

const short = (value: number) => Number(value.toPrecision(4));

export function printFigure(name: string, unit: string, product: number, reference: number | null = null): void {
  const figure: Figure = {
    name,
    product: short(product),
    reference: reference === null ? null : short(reference),
    ratio: reference === null ? null : short(product / reference),
    unit,
  };
  process.stdout.write(`${JSON.stringify(figure)}\n`);
}

/** Of an odd number of runs the middle one: a busy moment of the machine decides nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

/** What a person reads while it runs; the figures alone stand on stdout. */
export const say = (text: string) => process.stderr.write(`${text}\n`);
