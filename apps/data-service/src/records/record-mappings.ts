import { collections, snakeCase, type Collection } from '@keyturn/contracts';
import { mapColumns, type TableMapping } from '@keyturn/list-query';
import { recordTable } from './record-table';

function mappingOf({ name, resource, view }: Collection): TableMapping {
  const { qualified, stateTable, searchTable } = recordTable(resource);
  return {
    table: qualified,
    // As a literal, so that the view's partial indexes are recognised.
    ...(view ? { where: [`r.${snakeCase(view.field)} = '${view.equals}'`] } : {}),
    json: 'r.json',
    jsonTable: stateTable,
    columns: mapColumns(resource, { notNull: resource.name === 'file' ? ['status'] : [] }),
    searchTable,
    total: `select total from data.counter where space_id = $1 and collection = '${name}'`,
  };
}

const mappings = new Map([...new Set(collections.values())].map((collection) => [collection, mappingOf(collection)]));

/** The table behind a collection of the read API. */
export function recordMapping(collection: Collection): TableMapping {
  const mapping = mappings.get(collection);
  if (!mapping) throw new Error(`there is no mapping for ${collection.name}`);
  return mapping;
}
