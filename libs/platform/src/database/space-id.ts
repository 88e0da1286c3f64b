import { spaceIdPattern } from '@keyturn/contracts';

/** `spc_12` → `12`, as tables hold it. */
export function spaceNumber(id: string): string {
  if (!spaceIdPattern.test(id)) throw new Error(`not the id of a Space: ${JSON.stringify(id)}`);
  return id.slice('spc_'.length);
}

/** `12` → `spc_12`, as everything outside the tables says it. */
export const spaceId = (number: string | number | bigint): string => `spc_${number}`;
