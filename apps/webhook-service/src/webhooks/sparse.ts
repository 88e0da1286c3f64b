/** The keys that `fields=` names, in their usual order; all of them without it. */
export function sparse<T extends object>(row: T, fields: readonly string[] | null): Partial<T> {
  if (fields === null) return row;
  return Object.fromEntries(Object.entries(row).filter(([name]) => fields.includes(name))) as Partial<T>;
}
