/**
 * The shape of a resource definition. Everything that knows a resource's fields is derived from one such object: the
 * TypeScript type, the check on incoming events, the table mapping, the list query's allow-list, the OpenAPI schema, the
 * webhook payload and the docs. Source of the fields and flags: CONTRACT §2.3.
 */

export type FieldKind =
  'id' | 'integer' | 'number' | 'string' | 'text' | 'boolean' | 'date' | 'datetime' | 'enum' | 'strings';

export interface Field<K extends FieldKind = FieldKind, V extends string = string> {
  readonly kind: K;
  /** A `{column}=value` filter may name it (T-074). */
  readonly filterable: boolean;
  /** `sort=` may name it (T-070). */
  readonly sortable: boolean;
  /** `sort=` walks an index, so its cost does not grow with the table. */
  readonly indexed: boolean;
  /** `search=` looks into it (T-073). */
  readonly searched: boolean;
  /** `search=` also finds it by its digits alone: telephone numbers (T-065). */
  readonly digits: boolean;
  /** Stored, never shown, filtered, sorted, searched or emitted (T-034, T-035). */
  readonly sensitive: boolean;
  /** Computed from other fields; an incoming value is ignored. */
  readonly derived: boolean;
  /** The words of an `enum`. */
  readonly values?: readonly V[];
  /** What stands before the number of an `id`: `wh_` in `wh_42`. */
  readonly idPrefix?: string;
  readonly description?: string;
}

interface Extra<V extends string = string> {
  description?: string;
  values?: readonly V[];
  digits?: boolean;
  derived?: boolean;
  sensitive?: boolean;
}

/** F filterable, S sortable, I sorted by an index, Q searched. */
type Flags = '' | 'F' | 'FS' | 'FSI' | 'FSQ' | 'FSIQ' | 'Q';

function field<K extends FieldKind, V extends string = string>(
  kind: K,
  flags: Flags,
  extra: Extra<V> = {},
): Field<K, V> {
  return {
    kind,
    filterable: flags.includes('F'),
    sortable: flags.includes('S'),
    indexed: flags.includes('I'),
    searched: flags.includes('Q'),
    digits: extra.digits ?? false,
    sensitive: extra.sensitive ?? false,
    derived: extra.derived ?? false,
    values: extra.values,
    description: extra.description,
  };
}

export const integer = (flags: Flags, extra?: Extra) => field('integer', flags, extra);
export const number = (flags: Flags, extra?: Extra) => field('number', flags, extra);
export const string = (flags: Flags, extra?: Extra) => field('string', flags, extra);
/** Long prose: searched, never a filter or a sort. */
export const text = (flags: Flags, extra?: Extra) => field('text', flags, extra);
export const boolean = (flags: Flags, extra?: Extra) => field('boolean', flags, extra);
/** A calendar day, `YYYY-MM-DD` (T-006). */
export const date = (flags: Flags, extra?: Extra) => field('date', flags, extra);
/** A moment, ISO 8601 UTC with milliseconds and `Z` (T-006). */
export const datetime = (flags: Flags, extra?: Extra) => field('datetime', flags, extra);
export const strings = (flags: Flags, extra?: Extra) => field('strings', flags, extra);
export const enumeration = <const V extends string>(
  values: readonly V[],
  flags: Flags,
  extra?: Omit<Extra, 'values'>,
) => field<'enum', V>('enum', flags, { ...extra, values });

type Fields = Readonly<Record<string, Field>>;

type ValueOf<F extends Field> =
  F extends Field<'enum', infer V>
    ? V
    : F['kind'] extends 'id' | 'integer' | 'number'
      ? number
      : F['kind'] extends 'boolean'
        ? boolean
        : F['kind'] extends 'strings'
          ? string[]
          : string;

/** A record as our code holds it: every field, null where unset (T-122). */
export type RecordOf<R extends { fields: Fields }> = {
  id: number;
  createdAt: string;
  updatedAt: string;
} & { [N in Exclude<keyof R['fields'], 'id' | 'createdAt' | 'updatedAt'>]: ValueOf<R['fields'][N]> | null };

export type Value = string | number | boolean | string[] | null;
export type AnyRecord = { id: number; createdAt: string; updatedAt: string } & Record<string, Value>;

/** A part of a resource that has a collection of its own: `/agents` are the users whose role is `agent` (T-060). */
export interface View {
  readonly collection: string;
  readonly field: string;
  readonly equals: string;
}

export interface Resource<F extends Fields = Fields> {
  /** As in event names: `calendar_item`. */
  readonly name: string;
  /** As in the path: `calendar-items`. */
  readonly collection: string;
  /** Further spellings of the path that answer the same. */
  readonly aliases: readonly string[];
  /** As in prose and docs: `calendar item`. */
  readonly title: string;
  readonly fields: F;
  readonly views: readonly View[];
  /** Derived fields by name, computed from the record's own. */
  readonly derive: Readonly<Record<string, (record: AnyRecord) => Value>>;
}

interface ResourceSpec<F extends Fields> {
  name: string;
  collection: string;
  aliases?: readonly string[];
  title: string;
  fields: F;
  views?: readonly View[];
  derive?: Readonly<Record<string, (record: AnyRecord) => Value>>;
}

/** An id that is shown with a prefix and stored as its number. */
export const identifier = (idPrefix: string): Field<'id'> => ({ ...field('id', 'FSI'), idPrefix });

const id = field('id', 'FSI', { description: 'Unique within the Space.' });
const createdAt = field('datetime', 'FSI', { description: 'When the record was made.' });
const updatedAt = field('datetime', 'FSI', { description: 'When the record last changed.' });

/** Makes a definition: `id` comes first, `createdAt` and `updatedAt` last, in JSON as in the docs. */
export function defineResource<const F extends Fields>(spec: ResourceSpec<F>) {
  const fields = { id, ...spec.fields, createdAt, updatedAt };
  const missing = Object.entries(fields).filter(([name, f]) => f.derived && !spec.derive?.[name]);
  if (missing.length) throw new Error(`${spec.name}: no rule derives ${missing.map(([name]) => name).join(', ')}`);
  return { aliases: [], views: [], derive: {}, ...spec, fields } satisfies Resource;
}

type NamedField = readonly [name: string, field: Field];

/** A definition in the forms that are asked for with every event; made once. */
interface Shape {
  readonly all: readonly NamedField[];
  readonly visible: readonly NamedField[];
  readonly given: readonly NamedField[];
}

const shapes = new WeakMap<Fields, Shape>();

function shapeOf({ fields }: Resource): Shape {
  let shape = shapes.get(fields);
  if (!shape) {
    const all = Object.entries(fields);
    shape = { all, visible: all.filter(([, f]) => !f.sensitive), given: all.filter(([, f]) => !f.derived) };
    shapes.set(fields, shape);
  }
  return shape;
}

/** All fields, in their JSON order. */
export const allFields = (resource: Resource): readonly NamedField[] => shapeOf(resource).all;

/** The fields a caller may see, in their JSON order. */
export const visibleFields = (resource: Resource): readonly NamedField[] => shapeOf(resource).visible;

/** The fields an event may set: all but the derived ones. */
export const givenFields = (resource: Resource): readonly NamedField[] => shapeOf(resource).given;

/** `propertyAddress` → `property_address`: the column of a field, and the alias that `sort` and filters accept (T-070). */
export function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
