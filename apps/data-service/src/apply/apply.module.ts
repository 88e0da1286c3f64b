import { Module } from '@nestjs/common';
import { ErasureRpc } from '../erasure/erasure.rpc';
import { RecordEraser } from '../erasure/record-eraser';
import { StreamEraser } from '../erasure/stream-eraser';
import { Relay } from '../log/relay';
import { RejectedEvents } from '../rejected/rejected-events';
import { RejectedRpc } from '../rejected/rejected.rpc';
import { RetentionRpc } from '../retention/retention.rpc';
import { SpacePurge } from '../spaces/space-purge';
import { SpacesRpc } from '../spaces/spaces.rpc';
import { Applier } from './applier';
import { PositionsRpc } from './positions.rpc';

/** The write side: events in, the log, its relay, and what belongs to their keeping. */
@Module({
  providers: [Applier, Relay, RejectedEvents, RecordEraser, StreamEraser, SpacePurge],
  controllers: [SpacesRpc, PositionsRpc, RejectedRpc, RetentionRpc, ErasureRpc],
})
export class ApplyModule {}
