import { resources } from '@keyturn/contracts';
import { deliverySchemas } from './delivery-schemas';
import { eventTag, eventWebhooks } from './event-webhooks';
import { recordExamples } from './examples';
import { guide } from './guide';
import { sharedParameters } from './parameters';
import { recordPaths, recordTags } from './record-paths';
import { replaySchemas } from './replay-schemas';
import { errorSchema, failures, failuresOf, headers, paginationSchemas } from './responses';
import { type Part, ref, resourceSchema, schemaName } from './schema';
import { feedPath, feedTag } from './feed-path';
import { webhookPaths, webhookTag } from './webhook-paths';
import { publicKeysExample, signingSchemas } from './signing-schemas';
import { webhookSchemas } from './webhook-schemas';

/** Of the API, not of the program: grows with what callers can see. */
export const apiVersion = '1.0.0';

const serviceTag = 'Service';

/** Refusals of an endpoint that needs no key. */
const keylessFailures = (() => {
  const { '429': limited, '500': internal } = failuresOf();
  return { '429': limited, '500': internal };
})();

const servicePaths: Readonly<Record<string, Part>> = {
  '/api/v1/health': {
    get: {
      operationId: 'getHealth',
      summary: 'Check that the API answers',
      description: 'Needs no key, is never refused, and is the one answer without the envelope.',
      tags: [serviceTag],
      security: [],
      responses: {
        '200': {
          description: 'It answers.',
          headers: {
            'X-RateLimit-Limit': ref('headers', 'X-RateLimit-Limit'),
            'X-RateLimit-Remaining': ref('headers', 'X-RateLimit-Remaining'),
          },
          content: {
            'application/json': {
              schema: {
                type: 'object',
                required: ['status', 'timestamp'],
                additionalProperties: false,
                properties: {
                  status: { type: 'string', const: 'ok' },
                  timestamp: { type: 'string', format: 'date-time' },
                },
              },
              example: { status: 'ok', timestamp: '2026-03-10T12:00:00.000Z' },
            },
          },
        },
      },
    },
  },
  '/.well-known/webhook-keys/{keysId}': {
    get: {
      operationId: 'getPublicKeys',
      summary: 'Keys to verify deliveries with',
      description:
        'The public keys of one webhook with `signatureScheme: "v1a"`, as a JSON Web Key Set: the current one first, then one that a rotation has ' +
        'not ended yet. Needs no API key. Keep the answer as long as `Cache-Control` says, and ask again when a signature fits none of them.',
      tags: [serviceTag],
      security: [],
      parameters: [
        {
          name: 'keysId',
          in: 'path',
          required: true,
          description: 'The end of the `publicKeysPath` of the webhook.',
          schema: { type: 'string', format: 'uuid' },
          example: '0d8a3c0e-6a0f-4c8e-9f43-2f6f0f5a7b11',
        },
        ref('parameters', 'IfNoneMatch'),
      ],
      responses: {
        '200': {
          description: 'The keys.',
          headers: { ETag: ref('headers', 'ETag') },
          content: { 'application/json': { schema: ref('schemas', 'PublicKeys'), example: publicKeysExample } },
        },
        '304': { description: 'You have them already.' },
        '404': failuresOf('NotFound')['404'],
        ...keylessFailures,
      },
    },
  },
  '/api/v1/openapi.json': {
    get: {
      operationId: 'getOpenApiDocument',
      summary: 'This document',
      description: 'The description of the API that you are reading, as OpenAPI 3.1. Needs no key.',
      tags: [serviceTag],
      security: [],
      parameters: [ref('parameters', 'IfNoneMatch')],
      responses: {
        '200': {
          description: 'The document.',
          headers: { ETag: ref('headers', 'ETag') },
          content: { 'application/json': { schema: { type: 'object' } } },
        },
        '304': { description: 'You have it already.' },
        ...keylessFailures,
      },
    },
  },
};

/** As it is committed: `apps/api-gateway/openapi.json`. */
export const openApiText = (): string => `${JSON.stringify(openApiDocument(), null, 2)}\n`;

/** The whole Space API as OpenAPI 3.1, made from the definitions that also make its behaviour. */
export function openApiDocument(): Part {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Keyturn Space API',
      version: apiVersion,
      summary: 'Keyed REST access to the data of a real-estate Space, and signed webhooks.',
      description: guide,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/', description: 'This server' }],
    security: [{ ApiKey: [] }],
    tags: [
      ...recordTags(),
      { name: feedTag, description: 'Everything that happened in the Space, in one order.' },
      { name: webhookTag, description: 'Subscriptions to events, their tests and their deliveries.' },
      { name: eventTag, description: 'What we POST to the URLs of your webhooks.' },
      { name: serviceTag, description: 'About the API itself; no key is needed.' },
    ],
    paths: { ...recordPaths(), ...webhookPaths, ...feedPath, ...servicePaths },
    webhooks: eventWebhooks(),
    components: {
      securitySchemes: {
        ApiKey: {
          type: 'apiKey',
          in: 'header',
          name: 'X-API-Key',
          description: 'A key of your Space: `tc_live_…`. Only this header is looked at, never the URL.',
        },
      },
      parameters: sharedParameters,
      headers,
      responses: failures,
      schemas: {
        ...Object.fromEntries(
          resources.map((resource) => [
            schemaName(resource.name),
            resourceSchema(resource, recordExamples[resource.name] ?? {}),
          ]),
        ),
        ...webhookSchemas,
        ...deliverySchemas,
        ...replaySchemas,
        ...signingSchemas,
        ...paginationSchemas,
        Error: errorSchema,
      },
    },
  };
}
