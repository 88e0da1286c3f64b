import { deliveryList, webhookList } from '@keyturn/contracts';
import { listParametersOf } from './parameters';
import { failuresOf, notModified, pagination, success } from './responses';
import { type Part, ref } from './schema';
import { deliveryExample, newWebhookExample, webhookExample } from './webhook-schemas';

export const webhookTag = 'Webhooks';

const id: Part = {
  name: 'id',
  in: 'path',
  required: true,
  description: 'The id of the webhook.',
  schema: { type: 'string', pattern: '^wh_[1-9][0-9]*$' },
  example: 'wh_42',
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
        ...failuresOf('ValidationError'),
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
};
