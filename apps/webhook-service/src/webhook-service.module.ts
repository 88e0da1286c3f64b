import { Module } from '@nestjs/common';
import { Database } from '@keyturn/platform/database';
import { SETTINGS } from '@keyturn/platform/service';
import { AddressPolicy, DeliveryStore, ReplayStore, SecretBox, WebhookStore } from '@keyturn/webhook-store';
import { HealthJudge } from './health/health-judge';
import { ListConnections } from './list-connections';
import { LogReader } from './operations/log-reader';
import { TakenIn } from './operations/taken-in';
import { WebhookOperationsController } from './operations/webhook-operations.controller';
import { ReplayRunner } from './replays/replay-runner';
import { ReplaysController } from './replays/replays.controller';
import { ReplaysService } from './replays/replays.service';
import { RetentionController } from './retention/retention.controller';
import type { WebhookServiceSettings } from './settings';
import { SpacesController } from './spaces/spaces.controller';
import { ReceiverConsent } from './webhooks/consent';
import { DeliveriesController } from './webhooks/deliveries.controller';
import { WebhookHints } from './webhooks/webhook-hints';
import { WebhooksController } from './webhooks/webhooks.controller';
import { WebhooksService } from './webhooks/webhooks.service';

@Module({
  controllers: [
    WebhooksController,
    DeliveriesController,
    ReplaysController,
    RetentionController,
    SpacesController,
    WebhookOperationsController,
  ],
  providers: [
    WebhooksService,
    WebhookHints,
    ReceiverConsent,
    HealthJudge,
    LogReader,
    TakenIn,
    ReplaysService,
    ReplayRunner,
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
    ListConnections,
    {
      provide: WebhookStore,
      inject: [Database, SecretBox, ListConnections],
      useFactory: (...parts: ConstructorParameters<typeof WebhookStore>) => new WebhookStore(...parts),
    },
    {
      provide: ReplayStore,
      inject: [Database, ListConnections, SETTINGS],
      useFactory: (database: Database, lists: ListConnections, settings: WebhookServiceSettings) =>
        new ReplayStore(database, lists, settings.retryScheduleMs.length + 1),
    },
    {
      provide: DeliveryStore,
      inject: [Database, ListConnections, SETTINGS],
      useFactory: (database: Database, lists: ListConnections, settings: WebhookServiceSettings) =>
        new DeliveryStore(database, lists, settings.retryScheduleMs.length + 1),
    },
  ],
})
export class WebhookServiceModule {}
