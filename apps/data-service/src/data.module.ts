import { Module } from '@nestjs/common';
import { ReadModule } from './read/read.module';

@Module({ imports: [ReadModule] })
export class DataModule {}
