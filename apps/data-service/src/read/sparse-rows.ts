type Row = Record<string, unknown>;

/** The wanted keys of a record's JSON; `fields` stand in the order of its definition already. */
function pick(row: Row, fields: readonly string[]): Row {
  return Object.fromEntries(fields.map((field) => [field, row[field] ?? null]));
}

/** Whole rows, joined by commas, cut down to some of their fields; null leaves them as they are stored. */
export function sparseRows(rows: string, fields: readonly string[] | null): string {
  if (fields === null || rows === '') return rows;
  const whole = JSON.parse(`[${rows}]`) as Row[];
  return whole.map((row) => JSON.stringify(pick(row, fields))).join(',');
}
