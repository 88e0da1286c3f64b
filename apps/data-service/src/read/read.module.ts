import { Module } from '@nestjs/common';
import { ReadPools } from './read-pools';
import { ReadOperations } from './read.rpc';
import { SpaceReader } from './space-reader';

@Module({ controllers: [ReadOperations], providers: [ReadPools, SpaceReader] })
export class ReadModule {}
