import { secretContext, type SecretBox } from './secret-box';

interface SealedRow {
  readonly space_id: string;
  readonly secret_enc: Buffer | null;
  readonly previous_secret_enc: Buffer | null;
  readonly headers_enc: Buffer | null;
  readonly signature_key_enc: Buffer | null;
  readonly previous_signature_key_enc: Buffer | null;
}

/** The current secret first, then the one that a rotation has not ended yet. A deleted endpoint has none. */
export function endpointSecrets(
  box: SecretBox,
  row: Pick<SealedRow, 'space_id' | 'secret_enc' | 'previous_secret_enc'>,
): string[] {
  return openAll(box, row.space_id, [row.secret_enc, row.previous_secret_enc]);
}

/** The same of its private keys; none of an endpoint that never signed with one. */
export function endpointSignatureKeys(
  box: SecretBox,
  row: Pick<SealedRow, 'space_id' | 'signature_key_enc' | 'previous_signature_key_enc'>,
): string[] {
  return openAll(box, row.space_id, [row.signature_key_enc, row.previous_signature_key_enc]);
}

const openAll = (box: SecretBox, spaceNumber: string, sealed: readonly (Buffer | null)[]) =>
  sealed.filter((one) => one !== null).map((one) => box.open(one, secretContext(spaceNumber)));

export function endpointHeaders(
  box: SecretBox,
  row: Pick<SealedRow, 'space_id' | 'headers_enc'>,
): Record<string, string> {
  if (row.headers_enc === null) return {};
  return JSON.parse(box.open(row.headers_enc, secretContext(row.space_id))) as Record<string, string>;
}
