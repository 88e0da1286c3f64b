import { Module } from '@nestjs/common';
import { ApplyModule } from './apply/apply.module';
import { EventLogRpc } from './log/event-log.rpc';
import { ReadModule } from './read/read.module';

@Module({ imports: [ReadModule, ApplyModule], controllers: [EventLogRpc] })
export class DataModule {}
