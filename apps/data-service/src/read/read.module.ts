import { Module } from '@nestjs/common';
import { ReadPools } from './read-pools';
import { ReadReplica } from './read-replica';
import { ReadOperations } from './read.rpc';
import { SpaceReader } from './space-reader';

@Module({ controllers: [ReadOperations], providers: [ReadPools, ReadReplica, SpaceReader] })
export class ReadModule {}
