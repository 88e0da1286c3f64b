import type { Migration } from '@keyturn/platform/database';
import type { QueryRunner } from 'typeorm';

/**
 * An endpoint chooses between HMAC and Ed25519. The set of its public keys has a name of its own: those who verify need no id
 * of ours, and nobody can guess another's.
 */
export class SignatureSchemes1763600450000 implements Migration {
  readonly name = 'SignatureSchemes1763600450000';
  /** A program that knows only HMAC goes on with it. */
  readonly safeForRunningVersion = true;

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table webhooks.endpoint
        add column signature_scheme text not null default 'v1' check (signature_scheme in ('v1', 'v1a')),
        add column previous_scheme_until timestamptz(3),
        add column previous_signature_key_enc bytea,
        add column previous_signature_public_key text,
        add column public_keys_id uuid;
      create unique index endpoint_public_keys on webhooks.endpoint (public_keys_id) where public_keys_id is not null;
    `);
  }

  down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
