import type { Field } from './resource';

/**
 * A list request after its parse: every name checked against the definition, every value in its field's type
 * (T-066 … T-076, DESIGN §3). What the gateway sends to the service that holds the rows.
 */
export type Operator = 'eq' | 'ne' | 'gt' | 'gte' | 'lt' | 'lte' | 'in' | 'contains' | 'null';

export type FilterValue = string | number | boolean;

export interface Filter {
  readonly field: string;
  readonly operator: Operator;
  /** One value, or several for `in` (and for a repeated parameter, which is OR). Moments and days stay ISO text. */
  readonly values: readonly FilterValue[];
}

/** Where a cursor walk stands: the last row's sort value (null where unset) and its id. */
export interface Position {
  readonly value: FilterValue | null;
  readonly id: number;
}

export interface ListQuery {
  readonly filters: readonly Filter[];
  /** Lower-cased words; each must occur in some searched field (T-073). */
  readonly search: readonly string[];
  readonly sort: string;
  readonly order: 'asc' | 'desc';
  readonly pageSize: number;
  /** Numbered pages carry a total; a cursor walk starts at `after: null`. */
  readonly window: { readonly page: number } | { readonly after: Position | null };
  /** `fields=`: the keys of sparse rows, in JSON order; null for whole rows. */
  readonly fields: readonly string[] | null;
}

/** What a list needs to know of its rows: a resource, or a list that is no resource (webhooks, deliveries). */
export interface ListDefinition {
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
  readonly defaultSort?: { readonly field: string; readonly order: 'asc' | 'desc' };
}

/** The small head of a list's reply; the rows travel behind it as JSON text joined by commas. */
export interface ListReply {
  /** Rows in this page. */
  readonly count: number;
  /** Exact number of matches; only for numbered pages. */
  readonly total: number | null;
  /** Only for cursor walks: where the next page begins; null at the end. */
  readonly next: Position | null;
}
