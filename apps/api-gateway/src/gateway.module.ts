import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { CursorCodec } from '@keyturn/list-query';
import { AddressLimit } from './access/address-limit';
import { AdmitDatabase } from './access/admit-database';
import { Admitter } from './access/admitter';
import { Accounts } from './accounts/accounts';
import { Audit } from './audit/audit';
import { AuditRpc } from './audit/audit.rpc';
import { DocsController } from './docs/docs.controller';
import { FeedController } from './feed/feed.controller';
import { Published } from './feed/published';
import { HealthController } from './health/health.controller';
import { FailureResponder } from './http/failure-responder';
import { Gate } from './http/gate';
import { RequestMetrics } from './http/request-metrics';
import { SlowConnections } from './http/slow-connections';
import { ThrownErrorsFilter } from './http/thrown-errors.filter';
import { Keys } from './keys/keys';
import { KeysRpc } from './keys/keys.rpc';
import { LoginLimit } from './manage/login-limit';
import { ManageController } from './manage/manage.controller';
import { Sessions } from './manage/sessions';
import { Members } from './members/members';
import { MembersRpc } from './members/members.rpc';
import { OpenApiController } from './openapi/openapi.controller';
import { ReadsController } from './resources/reads.controller';
import { AccessRetention } from './retention/access-retention';
import { RetentionRpc } from './retention/retention.rpc';
import { SpacePurge } from './retention/space-purge';
import type { GatewaySettings } from './settings';
import { Spaces } from './spaces/spaces';
import { SpacesRpc } from './spaces/spaces.rpc';
import { DeliveriesController } from './webhooks/deliveries.controller';
import { PublicKeysController } from './webhooks/public-keys.controller';
import { ReplaysController } from './webhooks/replays.controller';
import { SpaceWebhooks } from './webhooks/space-webhooks';
import { WebhooksController } from './webhooks/webhooks.controller';

@Module({})
export class GatewayModule {
  static of(settings: GatewaySettings): DynamicModule {
    return {
      module: GatewayModule,
      controllers: [
        HealthController,
        OpenApiController,
        DocsController,
        FeedController,
        ReadsController,
        WebhooksController,
        DeliveriesController,
        ReplaysController,
        PublicKeysController,
        ManageController,
        SpacesRpc,
        MembersRpc,
        KeysRpc,
        AuditRpc,
        RetentionRpc,
      ],
      providers: [
        { provide: AdmitDatabase, useValue: new AdmitDatabase(settings) },
        {
          provide: Admitter,
          useFactory: ({ database }: AdmitDatabase) => new Admitter(database),
          inject: [AdmitDatabase],
        },
        { provide: AddressLimit, useValue: new AddressLimit(settings.addressLimit) },
        { provide: CursorCodec, useValue: new CursorCodec(settings.secretsKey) },
        { provide: APP_FILTER, useClass: ThrownErrorsFilter },
        Gate,
        FailureResponder,
        RequestMetrics,
        SlowConnections,
        Audit,
        Accounts,
        Keys,
        Spaces,
        Members,
        LoginLimit,
        Published,
        Sessions,
        SpaceWebhooks,
        AccessRetention,
        SpacePurge,
      ],
    };
  }
}
