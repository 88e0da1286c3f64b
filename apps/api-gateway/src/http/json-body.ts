import { ApiError, validationError } from '@keyturn/contracts';

/** Deeper than any body of ours, and far from what would overflow a stack on its way through the services. */
const maxDepth = 32;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** A request's body as a value; undefined where there is none. Whatever cannot be one is a 400 (T-094). */
export function parseJsonBody(bytes: Uint8Array): unknown {
  if (bytes.length === 0) return undefined;
  const text = decode(bytes);
  if (isTooDeep(text)) throw validationError('body', `The body is nested deeper than ${maxDepth} levels`);
  try {
    return JSON.parse(text, refuseUnsayable);
  } catch (error) {
    throw error instanceof ApiError ? error : notJson();
  }
}

const notJson = () => validationError('body', 'The body is not valid JSON in UTF-8');

function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw notJson();
  }
}

/** Told from the text, before anything walks the value. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (inString) {
      if (char === 92) i++;
      else if (char === 34) inString = false;
    } else if (char === 34) inString = true;
    else if (char === 91 || char === 123) {
      if (++depth > maxDepth) return true;
    } else if (char === 93 || char === 125) depth--;
  }
  return false;
}

/** A key that would change what an object is, instead of what it holds; a number that travels on as `null`, which means something. */
function refuseUnsayable(key: string, value: unknown): unknown {
  if (key === '__proto__') throw validationError('body', 'The body must not have a key "__proto__"');
  if (typeof value === 'number' && !Number.isFinite(value))
    throw validationError('body', 'The body has a number that is too large');
  return value;
}
