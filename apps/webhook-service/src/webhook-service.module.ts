import { Module } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { Drain, SETTINGS } from '@keyturn/platform/service';
import { AddressPolicy, DeliveryStore, makeListDatabases, SecretBox, WebhookStore } from '@keyturn/webhook-store';
import { RetentionController } from './retention/retention.controller';
import type { WebhookServiceSettings } from './settings';
import { DeliveriesController } from './webhooks/deliveries.controller';
import { WebhookHints } from './webhooks/webhook-hints';
import { WebhooksController } from './webhooks/webhooks.controller';
import { WebhooksService } from './webhooks/webhooks.service';

const listDatabases = Symbol('connections for lists');

@Module({
  controllers: [WebhooksController, DeliveriesController, RetentionController],
  providers: [
    WebhooksService,
    WebhookHints,
    {
      provide: SecretBox,
      inject: [SETTINGS],
      useFactory: (settings: WebhookServiceSettings) => new SecretBox(settings.secretsKey, settings.secretsKeyPrevious),
    },
    {
      provide: AddressPolicy,
      inject: [SETTINGS],
      useFactory: (settings: WebhookServiceSettings) => new AddressPolicy(settings),
    },
    {
      provide: listDatabases,
      inject: [SETTINGS, Drain],
      useFactory: (settings: WebhookServiceSettings, drain: Drain) => {
        const databases = makeListDatabases(settings.databaseUrl, settings.listConnections, 'webhook-service lists');
        drain.on('lists', async () => {
          await Promise.all([databases.walk.close(), databases.scan.close()]);
        });
        return databases;
      },
    },
    {
      provide: WebhookStore,
      inject: [Database, SecretBox, listDatabases],
      useFactory: (...parts: ConstructorParameters<typeof WebhookStore>) => new WebhookStore(...parts),
    },
    {
      provide: DeliveryStore,
      inject: [Database, listDatabases],
      useFactory: (...parts: ConstructorParameters<typeof DeliveryStore>) => new DeliveryStore(...parts),
    },
  ],
})
export class WebhookServiceModule {}
