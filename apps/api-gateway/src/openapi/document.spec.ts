import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import {
  actionsOf,
  type AnyRecord,
  checkValue,
  collections,
  deliveryList,
  eventNames,
  type Field,
  type ListDefinition,
  operationalEventNames,
  resources,
  visibleFields,
  webhookList,
} from '@keyturn/contracts';
import { CursorCodec, operatorsOf, parseListQuery } from '@keyturn/list-query';
import { openApiDocument, openApiText } from './document';
import { recordExamples } from './examples';

interface Parameter {
  $ref?: string;
  name: string;
  in: string;
  schema: { enum?: string[]; properties?: Record<string, unknown>; items?: { enum?: string[] } };
}
interface Operation {
  operationId: string;
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: { content: Record<string, { example: { event: string; data: { id: number } } }> };
  responses: Record<string, { $ref?: string }>;
}
interface Document {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  webhooks: Record<string, { post: Operation }>;
  components: { schemas: Record<string, { required: string[]; properties: Record<string, object> }> };
}

const document = openApiDocument() as unknown as Document;
const operations = Object.entries(document.paths).flatMap(([route, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ route, method, operation })),
);
const lists: [string, ListDefinition][] = [
  ...[...collections.values()].map(({ name, resource }): [string, ListDefinition] => [`/api/v1/${name}`, resource]),
  ['/api/v1/webhooks', webhookList],
  ['/api/v1/webhooks/{id}/deliveries', deliveryList],
];

/** A value that a filter takes. */
function sample(field: Field, operator: string): string {
  if (operator === 'null') return 'true';
  if (field.kind === 'id') return `${field.idPrefix ?? ''}1`;
  if (field.kind === 'enum') return field.values?.[0] ?? '';
  if (field.kind === 'boolean') return 'true';
  if (field.kind === 'date' || field.kind === 'datetime') return '2026-03-10';
  return '1';
}

describe('the OpenAPI document', () => {
  it('is committed as it is: npm run openapi writes it anew', () => {
    const committed = readFileSync(path.join(__dirname, '../../openapi.json'), 'utf8');
    expect(committed === openApiText()).toBe(true);
  });

  it('is valid OpenAPI 3.1, its examples fit their schemas, and a linter finds nothing', () => {
    const linter = spawnSync(process.execPath, [path.join(__dirname, 'lint.mjs')], { input: openApiText() });
    expect(linter.stderr.toString()).toBe('');
    const problems = JSON.parse(linter.stdout.toString()) as { ruleId: string; at: string }[];
    // The health check is the one operation that refuses nobody.
    const expected = [{ ruleId: 'operation-4xx-response', at: '#/paths/~1api~1v1~1health/get/responses' }];
    expect(problems.map(({ ruleId, at }) => ({ ruleId, at }))).toEqual(expected);
  }, 60_000);

  it('T-060 has list and detail of every collection, and T-064 the lookup', () => {
    for (const { name } of collections.values())
      for (const route of [`/api/v1/${name}`, `/api/v1/${name}/{id}`])
        expect(Object.keys(document.paths[route] ?? {})).toEqual(['get']);
    expect(document.paths['/api/v1/contacts/lookup']).toBeDefined();
  });

  it('T-080 … T-092 has the management of webhooks, the only writes', () => {
    const writes = operations.filter(({ method }) => method !== 'get').map(({ route, method }) => `${method} ${route}`);
    expect(writes).toEqual([
      'post /api/v1/webhooks',
      'patch /api/v1/webhooks/{id}',
      'delete /api/v1/webhooks/{id}',
      'post /api/v1/webhooks/{id}/test',
      'post /api/v1/webhooks/{id}/pause',
      'post /api/v1/webhooks/{id}/resume',
      'post /api/v1/webhooks/{id}/rotate',
      'post /api/v1/webhooks/{id}/deliveries/{deliveryId}/resend',
      'post /api/v1/webhooks/{id}/replays',
      'post /api/v1/webhooks/{id}/replays/{replayId}/cancel',
    ]);
  });

  it('T-070 T-073 T-074 says of every list what its parser takes, and nothing else', () => {
    const cursors = new CursorCodec('k'.repeat(32));
    for (const [route, definition] of lists) {
      const parameters = (document.paths[route]?.['get']?.parameters ?? []).filter(({ $ref }) => !$ref);
      const query = new Map(parameters.filter((parameter) => parameter.in === 'query').map((one) => [one.name, one]));
      const usable = Object.entries(definition.fields).filter(([, field]) => !field.sensitive);
      const documented = [...query.keys(), ...Object.keys(query.get('comparisons')?.schema.properties ?? {})].filter(
        (name) => !['sort', 'order', 'search', 'fields', 'comparisons'].includes(name),
      );
      const filterable = usable.filter(([, field]) => field.filterable);
      expect(documented.sort()).toEqual(
        filterable
          .flatMap(([name, field]) =>
            operatorsOf(field).map((operator) => (operator === 'eq' ? name : `${name}[${operator}]`)),
          )
          .sort(),
      );
      for (const name of documented) {
        const [, column = name, operator = 'eq'] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
        const value = sample(definition.fields[column] as Field, operator);
        const options = { cursors, scope: ['spc_1', route] };
        expect(parseListQuery(definition, [[name, value]], options).filters).toHaveLength(1);
      }
      expect(query.get('sort')?.schema.enum).toEqual(
        usable.filter(([, field]) => field.sortable).map(([name]) => name),
      );
      expect(query.get('fields')?.schema.items?.enum).toEqual(usable.map(([name]) => name));
    }
  });

  it('T-122 shows every column of a record, required, null where it may be unset', () => {
    for (const resource of resources) {
      const title = resource.name.replace(/(^|_)(\w)/g, (_all, _gap, letter: string) => letter.toUpperCase());
      const schema = document.components.schemas[title];
      const names = visibleFields(resource).map(([name]) => name);
      expect(schema?.required).toEqual(names);
      expect(Object.keys(schema?.properties ?? {})).toEqual(names);
    }
  });

  it('has examples that are whole records', () => {
    for (const resource of resources) {
      const example = recordExamples[resource.name] as AnyRecord;
      expect(Object.keys(example)).toEqual(visibleFields(resource).map(([name]) => name));
      for (const [name, field] of visibleFields(resource)) {
        expect(checkValue(field, example[name])).toEqual({ ok: true, value: example[name] });
        if (field.derived) expect(example[name]).toBe(resource.derive[name]?.(example));
      }
    }
  });

  it('T-034 T-035 names nothing that is sensitive', () => {
    const sensitive = resources.flatMap(({ fields }) =>
      Object.entries(fields)
        .filter(([, field]) => field.sensitive)
        .map(([name]) => name),
    );
    expect(sensitive).toContain('passwordHash');
    for (const name of sensitive) expect(openApiText()).not.toContain(name);
  });

  it('T-100 … T-106 shows every event with a payload', () => {
    expect(Object.keys(document.webhooks)).toEqual([...eventNames, ...operationalEventNames, 'webhook.test']);
    expect(eventNames).toHaveLength(resources.flatMap(({ name }) => actionsOf(name)).length);
    for (const [event, { post }] of Object.entries(document.webhooks)) {
      const example = post.requestBody?.content['application/json']?.example;
      expect(Object.keys(example ?? {})).toEqual(['event', 'data', 'timestamp']);
      expect(example?.event).toBe(event);
    }
  });

  it('T-020 T-120 asks for a key everywhere but where none is needed, and says what can go wrong', () => {
    const open = operations.filter(({ operation }) => operation.security?.length === 0).map(({ route }) => route);
    expect(open).toEqual(['/api/v1/health', '/.well-known/webhook-keys/{keysId}', '/api/v1/openapi.json']);
    for (const { route, operation } of operations.filter(({ operation: { security } }) => !security)) {
      const statuses = Object.keys(operation.responses);
      expect({ route, statuses }).toEqual({
        route,
        statuses: expect.arrayContaining(['401', '403', '429', '500', '503']),
      });
    }
  });
});
