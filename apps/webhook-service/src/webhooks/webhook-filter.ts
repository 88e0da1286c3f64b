import {
  checkValue,
  resources,
  visibleFields,
  type Field,
  type FilterCondition,
  type WebhookFilter,
} from '@keyturn/contracts';
import { InputProblem } from './input-problem';

const maxConditions = 20;
const maxChoices = 100;

type Operator = FilterCondition['operator'];

const ordered: readonly Operator[] = ['eq', 'ne', 'gt', 'gte', 'lt', 'lte', 'in', 'null', 'changed'];
const operatorsByKind: Readonly<Record<Field['kind'], readonly Operator[]>> = {
  id: ordered,
  integer: ordered,
  number: ordered,
  date: ordered,
  datetime: ordered,
  string: ['eq', 'ne', 'in', 'contains', 'null', 'changed'],
  text: ['contains', 'null', 'changed'],
  enum: ['eq', 'ne', 'in', 'null', 'changed'],
  boolean: ['eq', 'ne', 'null', 'changed'],
  strings: ['contains', 'null', 'changed'],
};

/**
 * `{"file": [{"field": "listPrice", "operator": "gt", "value": 500000}]}`: per resource, conditions that an event must all
 * meet. What is checked here is evaluated by the database, on the payload that would be sent.
 */
export function parseFilter(value: unknown): WebhookFilter | null {
  if (value === null) return null;
  if (typeof value !== 'object' || Array.isArray(value))
    throw new InputProblem('must be null or an object of conditions by resource');
  const filter: WebhookFilter = {};
  for (const [name, conditions] of Object.entries(value)) {
    const resource = resources.find((candidate) => candidate.name === name);
    if (!resource)
      throw new InputProblem(`must be by resource, one of ${resources.map((candidate) => candidate.name).join(', ')}`);
    if (!Array.isArray(conditions) || conditions.length === 0 || conditions.length > maxConditions)
      throw new InputProblem(`.${name} must be an array of 1 to ${maxConditions} conditions`);
    const visible = new Map(visibleFields(resource));
    filter[name] = conditions.map((condition, i) => parseCondition(condition, `.${name}[${i}]`, visible));
  }
  return Object.keys(filter).length ? filter : null;
}

function parseCondition(given: unknown, at: string, visible: ReadonlyMap<string, Field>): FilterCondition {
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    throw new InputProblem(`${at} must be an object with field, operator and value`);
  const { field: name, operator, value, ...others } = given as Record<string, unknown>;
  if (Object.keys(others).length) throw new InputProblem(`${at} must have no keys besides field, operator and value`);
  const field = typeof name === 'string' ? visible.get(name) : undefined;
  if (!field) throw new InputProblem(`${at}.field must be a field of the resource`);
  const allowed = operatorsByKind[field.kind];
  if (!allowed.includes(operator as Operator))
    throw new InputProblem(`${at}.operator must be one of ${allowed.join(', ')}`);
  const condition = { field: name as string, operator: operator as Operator };
  if (operator === 'changed') {
    if (value !== undefined) throw new InputProblem(`${at} must have no value`);
    return condition;
  }
  return { ...condition, value: parseOperand(operator as Operator, value, field, at) };
}

function parseOperand(operator: Operator, value: unknown, field: Field, at: string): unknown {
  if (operator === 'null') {
    if (typeof value !== 'boolean') throw new InputProblem(`${at}.value must be true or false`);
    return value;
  }
  if (operator === 'contains') {
    if (typeof value !== 'string' || value === '' || value.length > 1_000)
      throw new InputProblem(`${at}.value must be a text`);
    return parseOne(value, { ...field, kind: 'string' }, at);
  }
  if (operator !== 'in') return parseOne(value, field, at);
  if (!Array.isArray(value) || value.length === 0 || value.length > maxChoices)
    throw new InputProblem(`${at}.value must be an array of 1 to ${maxChoices} values`);
  return value.map((item) => parseOne(item, field, at));
}

function parseOne(value: unknown, field: Field, at: string): unknown {
  if (value === null || value === undefined) throw new InputProblem(`${at}.value is missing`);
  const checked = checkValue(field, value);
  if (!checked.ok) throw new InputProblem(`${at}.value ${checked.problem}`);
  return checked.value;
}
