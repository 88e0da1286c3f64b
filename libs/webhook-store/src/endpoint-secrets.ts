import { secretContext, type SecretBox } from './secret-box';

interface SealedRow {
  readonly space_id: string;
  readonly secret_enc: Buffer | null;
  readonly previous_secret_enc: Buffer | null;
  readonly headers_enc: Buffer | null;
}

/** The current secret first, then the one that a rotation has not ended yet. A deleted endpoint has none. */
export function endpointSecrets(box: SecretBox, row: Omit<SealedRow, 'headers_enc'>): string[] {
  return [row.secret_enc, row.previous_secret_enc]
    .filter((sealed) => sealed !== null)
    .map((sealed) => box.open(sealed, secretContext(row.space_id)));
}

export function endpointHeaders(
  box: SecretBox,
  row: Pick<SealedRow, 'space_id' | 'headers_enc'>,
): Record<string, string> {
  if (row.headers_enc === null) return {};
  return JSON.parse(box.open(row.headers_enc, secretContext(row.space_id))) as Record<string, string>;
}
