/** Who asks. A key of a Space today; other surfaces sign in with tokens and add their kind here. */
export type Principal = KeyPrincipal;

export interface KeyPrincipal {
  readonly kind: 'key';
  readonly keyId: string;
  readonly spaceId: string;
  readonly scopes: readonly Scope[];
}

/** What a key may do: both unless its owner says less. */
export const scopes = ['read', 'webhooks:write'] as const;
export type Scope = (typeof scopes)[number];

export const isScope = (text: unknown): text is Scope => scopes.includes(text as Scope);
