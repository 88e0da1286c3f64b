import { deliveryList, replayList, webhookList } from '@keyturn/contracts';
import { attemptExample, deliveryExample } from './delivery-schemas';
import { listParametersOf } from './parameters';
import { replayExample } from './replay-schemas';
import { failuresOf, notModified, pagination, success } from './responses';
import { type Part, ref } from './schema';
import { newWebhookExample, webhookExample } from './webhook-schemas';

export const webhookTag = 'Webhooks';

const id: Part = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The id of the webhook.',
  schema: { type: 'string', pattern: '^wh_[1-9][0-9]*$' },
  example: 'wh_42',
};

const deliveryId: Part = {
  name: 'deliveryId',
  in: 'path',
  required: true,
  description: 'The id of the delivery.',
  schema: { type: 'string', pattern: '^dlv_[1-9][0-9]*$' },
  example: 'dlv_1007',
};

const replayId: Part = {
  name: 'replayId',
  in: 'path',
  required: true,
  description: 'The id of the replay.',
  schema: { type: 'string', pattern: '^rpl_[1-9][0-9]*$' },
  example: 'rpl_7',
};

const idempotencyKey: Part = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'A word of yours for this creation. A repeat within 24 hours gets the same answer, secret included, and makes nothing new; ' +
    'another body under the same word is a 409.',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
};

const body = (schema: string, example: Part, required: boolean): Part => ({
  required,
  content: { 'application/json': { schema: ref('schemas', schema), example } },
});

const onePage = (data: Part): Part => ({
  success: true,
  data: [data],
  pagination: { page: 1, pageSize: 25, total: 1, totalPages: 1 },
});

const enveloped = (data: Part): Part => ({ success: true, data });

/** Management of subscriptions: the one thing that keys may write (T-080 … T-093). */
export const webhookPaths: Readonly<Record<string, Part>> = {
  '/api/v1/webhooks': {
    get: {
      operationId: 'listWebhooks',
      summary: 'List webhooks',
      description: 'All subscriptions of your Space, whichever key made them. Secrets are never shown.',
      tags: [webhookTag],
      parameters: listParametersOf(webhookList),
      responses: {
        '200': success(
          'A page of webhooks.',
          { type: 'array', items: ref('schemas', 'Webhook') },
          {
            pagination,
            headers: ['ETag', 'Link'],
            example: onePage(webhookExample),
          },
        ),
        '304': notModified,
        ...failuresOf('ValidationError'),
      },
    },
    post: {
      operationId: 'createWebhook',
      summary: 'Create a webhook',
      description:
        'Subscribes a URL to events. From the answer on every such event is delivered. The answer holds the signing secret, **this ' +
        'once**.',
      tags: [webhookTag],
      parameters: [idempotencyKey],
      requestBody: body(
        'WebhookInput',
        {
          name: 'My CRM Sync',
          url: 'https://your-app.example/webhooks/keyturn',
          events: ['file.created', 'file.updated', 'contact.created'],
        },
        true,
      ),
      responses: {
        '201': success('The webhook, with its secret.', ref('schemas', 'NewWebhook'), {
          example: enveloped(newWebhookExample),
        }),
        ...failuresOf('ValidationError', 'Conflict'),
      },
    },
  },
  '/api/v1/webhooks/{id}': {
    get: {
      operationId: 'getWebhook',
      summary: 'Get a webhook',
      description: 'One subscription, without its secret.',
      tags: [webhookTag],
      parameters: [id, ref('parameters', 'IfNoneMatch')],
      responses: {
        '200': success('The webhook.', ref('schemas', 'Webhook'), {
          headers: ['ETag'],
          example: enveloped(webhookExample),
        }),
        '304': notModified,
        ...failuresOf('NotFound'),
      },
    },
    patch: {
      operationId: 'updateWebhook',
      summary: 'Update a webhook',
      description:
        'Changes what the body names. The change holds for events committed after the answer; a request already under way may still ' +
        'arrive. `isActive: true` also brings a disabled webhook back and delivers what waited.',
      tags: [webhookTag],
      parameters: [id],
      requestBody: body('WebhookChange', { isActive: false }, false),
      responses: {
        '200': success('The webhook as it is now.', ref('schemas', 'Webhook'), {
          example: enveloped({ ...webhookExample, isActive: false, status: 'inactive' }),
        }),
        ...failuresOf('ValidationError', 'NotFound'),
      },
    },
    delete: {
      operationId: 'deleteWebhook',
      summary: 'Delete a webhook',
      description: 'Ends the subscription; what waits is cancelled.',
      tags: [webhookTag],
      parameters: [id],
      responses: {
        '200': success(
          'It is gone.',
          {
            type: 'object',
            required: ['id', 'deleted'],
            properties: { id: { type: 'string' }, deleted: { type: 'boolean', const: true } },
          },
          { example: enveloped({ id: 'wh_42', deleted: true }) },
        ),
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/test': {
    post: {
      operationId: 'testWebhook',
      summary: 'Send a test event',
      description:
        'Sends `webhook.test` to the URL at once, signed like any other and whatever `events` and `isActive` say: one attempt. Answers ' +
        'when it is over; an endpoint that fails is a 200 here too, with `status: "failed"`. At most 10 a minute.',
      tags: [webhookTag],
      parameters: [id],
      responses: {
        '200': success('What became of it.', ref('schemas', 'Delivery'), {
          example: enveloped({
            ...deliveryExample,
            event: 'webhook.test',
            status: 'success',
            attempts: 1,
            maxAttempts: 1,
            responseStatus: 200,
            responseBody: 'OK',
            error: null,
            nextRetryAt: null,
            deliveredAt: '2026-03-10T12:00:00.191Z',
            payload: {
              event: 'webhook.test',
              data: { webhookId: 'wh_42', message: 'This is a test event.' },
              timestamp: '2026-03-10T12:00:00.000Z',
            },
          }),
        }),
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/pause': {
    post: {
      operationId: 'pauseWebhook',
      summary: 'Pause a webhook',
      description: 'Holds deliveries without dropping any: what happens meanwhile waits until you resume.',
      tags: [webhookTag],
      parameters: [id],
      responses: {
        '200': success('The webhook, paused.', ref('schemas', 'Webhook'), {
          example: enveloped({ ...webhookExample, status: 'paused' }),
        }),
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/resume': {
    post: {
      operationId: 'resumeWebhook',
      summary: 'Resume a webhook',
      description: 'Delivers what was held, then goes on as before.',
      tags: [webhookTag],
      parameters: [id],
      responses: {
        '200': success('The webhook, active again.', ref('schemas', 'Webhook'), { example: enveloped(webhookExample) }),
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/rotate': {
    post: {
      operationId: 'rotateSecret',
      summary: 'Rotate what signs',
      description:
        'Makes a new secret and shows it, **this once**; with `v1a` also a new key pair. Until the overlap ends every delivery carries a Standard Webhooks signature of each ' +
        'of the two (with `v1a`, of each key), so a receiver may change over at any moment of it; X-Webhook-Signature is of the new one at once.',
      tags: [webhookTag],
      parameters: [id],
      requestBody: body('Rotation', { overlapSeconds: 86400 }, false),
      responses: {
        '200': success('The webhook, with its new secret.', ref('schemas', 'NewWebhook'), {
          example: enveloped(newWebhookExample),
        }),
        ...failuresOf('ValidationError', 'NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/deliveries': {
    get: {
      operationId: 'listDeliveries',
      summary: 'List deliveries',
      description: 'What was sent and what became of it, newest first; kept for 30 days.',
      tags: [webhookTag],
      parameters: [id, ...listParametersOf(deliveryList)],
      responses: {
        '200': success(
          'A page of deliveries.',
          { type: 'array', items: ref('schemas', 'Delivery') },
          {
            pagination,
            headers: ['ETag', 'Link'],
            example: onePage(deliveryExample),
          },
        ),
        '304': notModified,
        ...failuresOf('ValidationError', 'NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/deliveries/{deliveryId}': {
    get: {
      operationId: 'getDelivery',
      summary: 'Get a delivery',
      description: 'One delivery with every try: when, where to, how long, and what your endpoint answered.',
      tags: [webhookTag],
      parameters: [id, deliveryId, ref('parameters', 'IfNoneMatch')],
      responses: {
        '200': success('The delivery.', ref('schemas', 'DeliveryWithAttempts'), {
          headers: ['ETag'],
          example: enveloped({ ...deliveryExample, attemptLog: [attemptExample] }),
        }),
        '304': notModified,
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/deliveries/{deliveryId}/resend': {
    post: {
      operationId: 'resendDelivery',
      summary: 'Resend a delivery',
      description:
        'Sends it again now, with the same id and the same bytes, and by the schedule from its beginning; what waits for its retry goes now.',
      tags: [webhookTag],
      parameters: [id, deliveryId],
      responses: {
        '200': success('The delivery, on its way.', ref('schemas', 'Delivery'), {
          example: enveloped(deliveryExample),
        }),
        ...failuresOf('NotFound', 'Conflict'),
      },
    },
  },
  '/api/v1/webhooks/{id}/replays': {
    get: {
      operationId: 'listReplays',
      summary: 'List replays',
      description: 'The replays of one webhook, newest first.',
      tags: [webhookTag],
      parameters: [id, ...listParametersOf(replayList)],
      responses: {
        '200': success(
          'A page of replays.',
          { type: 'array', items: ref('schemas', 'Replay') },
          { pagination, headers: ['ETag', 'Link'], example: onePage(replayExample) },
        ),
        '304': notModified,
        ...failuresOf('ValidationError', 'NotFound'),
      },
    },
    post: {
      operationId: 'createReplay',
      summary: 'Replay events',
      description:
        'Sends again what failed or was missed in a time, with the same ids and bytes, at the pace you choose. The job goes on ' +
        'through restarts of ours. With `dryRun` it only counts.',
      tags: [webhookTag],
      parameters: [id],
      requestBody: body(
        'ReplayInput',
        { since: '2026-03-09T00:00:00.000Z', status: 'failed', ratePerSecond: 20 },
        true,
      ),
      responses: {
        '201': success('The replay.', ref('schemas', 'Replay'), { example: enveloped(replayExample) }),
        ...failuresOf('ValidationError', 'NotFound', 'Conflict'),
      },
    },
  },
  '/api/v1/webhooks/{id}/replays/{replayId}': {
    get: {
      operationId: 'getReplay',
      summary: 'Get a replay',
      description: 'How far it is.',
      tags: [webhookTag],
      parameters: [id, replayId, ref('parameters', 'IfNoneMatch')],
      responses: {
        '200': success('The replay.', ref('schemas', 'Replay'), {
          headers: ['ETag'],
          example: enveloped(replayExample),
        }),
        '304': notModified,
        ...failuresOf('NotFound'),
      },
    },
  },
  '/api/v1/webhooks/{id}/replays/{replayId}/cancel': {
    post: {
      operationId: 'cancelReplay',
      summary: 'Cancel a replay',
      description: 'Ends it; what of it still waits is not sent.',
      tags: [webhookTag],
      parameters: [id, replayId],
      responses: {
        '200': success('The replay, cancelled.', ref('schemas', 'Replay'), {
          example: enveloped({ ...replayExample, status: 'cancelled', finishedAt: '2026-03-10T12:01:00.000Z' }),
        }),
        ...failuresOf('NotFound', 'Conflict'),
      },
    },
  },
};
