import type { MigrationClass } from '@keyturn/platform/database';
import { Webhooks1763600000000 } from './1763600000000-webhooks';
import { RecordOrder1763600100000 } from './1763600100000-record-order';
import { EndpointHealth1763600200000 } from './1763600200000-endpoint-health';
import { Replays1763600300000 } from './1763600300000-replays';
import { DaysOfTheOwner1763600350000 } from './1763600350000-days-of-the-owner';
import { SignatureSchemes1763600450000 } from './1763600450000-signature-schemes';
import { DeliveriesByTime1763600500000 } from './1763600500000-deliveries-by-time';
import { Handshake1763600550000 } from './1763600550000-handshake';
import { Erasure1763600600000 } from './1763600600000-erasure';
import { Intake1763600650000 } from './1763600650000-intake';
import { DaysByTheirName1763600700000 } from './1763600700000-days-by-their-name';
import { FiltersOfAnEvent1763600750000 } from './1763600750000-filters-of-an-event';
import { QueueInOrder1763600790000 } from './1763600790000-queue-in-order';
import { SpaceLife1763600800000 } from './1763600800000-space-life';
import { UnusualDeliveries1763600850000 } from './1763600850000-unusual-deliveries';

/** In order; forward only. */
export const webhookMigrations: readonly MigrationClass[] = [
  Webhooks1763600000000,
  RecordOrder1763600100000,
  EndpointHealth1763600200000,
  Replays1763600300000,
  DaysOfTheOwner1763600350000,
  SignatureSchemes1763600450000,
  DeliveriesByTime1763600500000,
  Handshake1763600550000,
  Erasure1763600600000,
  Intake1763600650000,
  DaysByTheirName1763600700000,
  FiltersOfAnEvent1763600750000,
  QueueInOrder1763600790000,
  SpaceLife1763600800000,
  UnusualDeliveries1763600850000,
];
