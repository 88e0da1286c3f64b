import { Module } from '@nestjs/common';
import { ApplyModule } from './apply/apply.module';
import { ReadModule } from './read/read.module';

@Module({ imports: [ReadModule, ApplyModule] })
export class DataModule {}
