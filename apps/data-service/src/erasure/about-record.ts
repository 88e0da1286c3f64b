/** Whether a message of a publisher, which may be anything, is about this record of a resource. */
export function isAbout(bytes: Uint8Array, resource: string, recordId: number): boolean {
  const text = new TextDecoder().decode(bytes);
  const event = readJson(text);
  if (event === undefined) {
    // Refused, and kept cut or broken as it came: rather one message too many than a name that stays.
    return text.includes(resource) && new RegExp(`"id"\\s*:\\s*"?${recordId}(?!\\d)`).test(text);
  }
  const { type, data } = Object(event) as { type?: unknown; data?: unknown };
  const { id } = Object(data) as { id?: unknown };
  return String(type).startsWith(`${resource}.`) && String(id) === String(recordId);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
