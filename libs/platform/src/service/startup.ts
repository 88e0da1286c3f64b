import { Injectable } from '@nestjs/common';

/**
 * Whether the database has been seen in the form that this version needs. A door for the outside is open before that, so that
 * callers are told to come back; what is asked of the database meanwhile would fail in ways that say something else.
 */
@Injectable()
export class Startup {
  private finished = false;

  get done(): boolean {
    return this.finished;
  }

  finish(): void {
    this.finished = true;
  }
}
