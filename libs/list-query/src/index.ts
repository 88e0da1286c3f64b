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
