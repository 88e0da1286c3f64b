/** What to run on one connection, in this order, to see how a statement is carried out; the second answers with the plan. */
export interface Explanation {
  readonly prepare: string;
  readonly explain: string;
  readonly deallocate: string;
}

const name = 'explained';

/**
 * The plan that a connection really uses, which for a prepared statement may be one for all values. So it is prepared and
 * carried out here as well, and its values become literals, since EXECUTE takes no parameters.
 */
export function explanationOf(text: string, values: readonly unknown[]): Explanation {
  return {
    prepare: `prepare ${name} as ${text}`,
    explain: `explain (analyze, buffers) execute ${name}(${values.map(literal).join(', ')})`,
    deallocate: `deallocate ${name}`,
  };
}

function literal(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  const text = Array.isArray(value) ? `{${value.map(item).join(',')}}` : String(value);
  return `'${text.replaceAll("'", "''")}'`;
}

const item = (value: unknown) => `"${String(value).replace(/["\\]/g, '\\$&')}"`;
