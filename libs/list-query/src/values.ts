import type { ColumnType } from './table-mapping';

/** The values of one statement in the order of their numbers; `$1` is the Space, which the database binds by itself. */
export class Values {
  readonly list: unknown[] = [];

  add(value: unknown, type: ColumnType | `${ColumnType}[]`): string {
    this.list.push(value);
    return `$${this.list.length + 1}::${type}`;
  }
}
