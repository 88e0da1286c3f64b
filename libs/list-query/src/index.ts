export { CursorCodec, type CursorScope } from './cursor';
export { operatorsOf } from './filter-value';
export {
  defaultPageSize,
  listParameters,
  maxPageSize,
  parseDetailQuery,
  parseFields,
  parseListQuery,
  type Parameters,
  type ParseOptions,
} from './parse';
export { listStatement, type ListStatement } from './list-statement';
export { type ListRow } from './list-sql';
export { planList, sessionSettings, type ListPlan, type SessionKind } from './plan';
export {
  mapColumns,
  type ColumnMapping,
  type ListParameter,
  type ColumnOptions,
  type ColumnType,
  type TableMapping,
} from './table-mapping';
export { explanationOf, type Explanation } from './explain';
