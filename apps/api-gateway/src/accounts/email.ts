/** An address as people have them, in lower case; undefined for anything else. Whether it reaches anybody is not ours to say. */
export function emailOf(text: unknown): string | undefined {
  if (typeof text !== 'string' || text.length > 254) return undefined;
  const email = text.trim().toLowerCase();
  return /^[^\s@"(),:;<>[\\\]\p{C}]{1,64}@(?:[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?\.)*[\p{L}\d](?:[\p{L}\d-]{0,61}[\p{L}\d])?$/u.test(
    email,
  )
    ? email
    : undefined;
}
