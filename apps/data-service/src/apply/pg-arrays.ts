/**
 * Columns of a batch in Postgres's binary array form. A statement takes one array per column and `unnest`s them side by side;
 * in text form each JSON text would be escaped here and unescaped there, in binary it is copied.
 */

const oid = { bool: 16, int8: 20, text: 25, float8: 701, date: 1082, timestamptz: 1184, uuid: 2950 } as const;

/** Days and microseconds count from here. */
const epoch = Date.UTC(2000, 0, 1);
const msPerDay = 86_400_000;

const headerBytes = 20;

function arrayOf(elementOid: number, length: number, valueBytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(headerBytes + 4 * length + valueBytes);
  buffer.writeInt32BE(length === 0 ? 0 : 1, 0);
  buffer.writeInt32BE(1, 4);
  buffer.writeInt32BE(elementOid, 8);
  buffer.writeInt32BE(length, 12);
  buffer.writeInt32BE(1, 16);
  return length === 0 ? buffer.subarray(0, 12) : buffer;
}

/** An array of values that all have one size. */
function fixed<T>(
  elementOid: number,
  size: number,
  write: (buffer: Buffer, value: T, at: number) => void,
): (values: readonly (T | null)[]) => Buffer {
  return (values) => {
    const buffer = arrayOf(elementOid, values.length, size * values.length);
    let at = headerBytes;
    for (const value of values) {
      if (value === null) {
        at = buffer.writeInt32BE(-1, at);
      } else {
        at = buffer.writeInt32BE(size, at);
        write(buffer, value, at);
        at += size;
      }
    }
    return values.length === 0 ? buffer : buffer.subarray(0, at);
  };
}

/** Whole numbers up to 2^53 need no BigInt. */
function writeInt64(buffer: Buffer, value: number, at: number): void {
  buffer.writeInt32BE(Math.floor(value / 2 ** 32), at);
  buffer.writeUInt32BE(((value % 2 ** 32) + 2 ** 32) % 2 ** 32, at + 4);
}

export const bigintArray = fixed<number | string>(oid.int8, 8, (buffer, value, at) => {
  if (typeof value === 'number') writeInt64(buffer, value, at);
  else buffer.writeBigInt64BE(BigInt(value), at);
});

export const doubleArray = fixed<number>(oid.float8, 8, (buffer, value, at) => buffer.writeDoubleBE(value, at));

export const booleanArray = fixed<boolean>(oid.bool, 1, (buffer, value, at) => buffer.writeUInt8(value ? 1 : 0, at));

/** `YYYY-MM-DD` each. */
export const dateArray = fixed<string>(oid.date, 4, (buffer, value, at) =>
  buffer.writeInt32BE((Date.parse(`${value}T00:00:00.000Z`) - epoch) / msPerDay, at),
);

/** ISO 8601 with milliseconds each. */
export const timestampArray = fixed<string>(oid.timestamptz, 8, (buffer, value, at) => {
  const ms = Date.parse(value) - epoch;
  // Microseconds leave the safe integers some 285 years from the epoch.
  if (Number.isSafeInteger(ms * 1_000)) writeInt64(buffer, ms * 1_000, at);
  else buffer.writeBigInt64BE(BigInt(ms) * 1_000n, at);
});

/** Thirty-two hexadecimal digits each. */
export const uuidArray = fixed<string>(oid.uuid, 16, (buffer, value, at) => buffer.write(value, at, 16, 'hex'));

export function textArray(values: readonly (string | null)[]): Buffer {
  let bytes = 0;
  for (const value of values) if (value !== null) bytes += Buffer.byteLength(value);
  const buffer = arrayOf(oid.text, values.length, bytes);
  let at = headerBytes;
  for (const value of values) {
    if (value === null) {
      at = buffer.writeInt32BE(-1, at);
    } else {
      const size = buffer.write(value, at + 4);
      buffer.writeInt32BE(size, at);
      at += 4 + size;
    }
  }
  return buffer;
}

/** An array as one text value: arrays of arrays must not be ragged in Postgres, so lists travel so and are cast. */
export function arrayLiteral(items: readonly string[]): string {
  return `{${items.map((item) => `"${item.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
