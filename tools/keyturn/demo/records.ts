import type {
  calendarItemResource,
  contactResource,
  contingencyResource,
  fileResource,
  noteResource,
  RecordOf,
  taskResource,
  userResource,
} from '@keyturn/contracts';

/** What a publisher sends of each resource: every field but the derived ones, which data-service computes. */
export type FileRecord = Omit<RecordOf<typeof fileResource>, 'status' | 'transactionType'>;
export type ContactRecord = Omit<RecordOf<typeof contactResource>, 'fullName'>;
export type UserRecord = Omit<RecordOf<typeof userResource>, 'fullName'>;
export type TaskRecord = RecordOf<typeof taskResource>;
export type CalendarItemRecord = RecordOf<typeof calendarItemResource>;
export type ContingencyRecord = RecordOf<typeof contingencyResource>;
export type NoteRecord = RecordOf<typeof noteResource>;

export interface Records {
  user: UserRecord;
  contact: ContactRecord;
  file: FileRecord;
  contingency: ContingencyRecord;
  task: TaskRecord;
  calendar_item: CalendarItemRecord;
  note: NoteRecord;
}

/** A record and the name of its resource, as events spell it. */
export type Made = { [N in keyof Records]: { readonly resource: N; readonly record: Records[N] } }[keyof Records];

/**
 * Ids are arithmetic on the number of the file they belong to: a reference needs no memory of what was made before.
 * A seed has a hundred million ids of each resource to itself, so two seeds never touch each other's records.
 */
export class Ids {
  private readonly base: number;

  constructor(seed: number) {
    this.base = (seed - 1) * 100_000_000;
  }

  file = (index: number) => this.base + 10_001 + index;
  /** Up to 20 people an office. */
  user = (office: number, n: number) => this.base + 1 + office * 20 + n;
  /** Up to 200 contacts that the whole office works with. */
  officeContact = (office: number, n: number) => this.base + 1 + office * 400 + n;
  /** Up to four contacts of a file's own, behind those of its office. */
  fileContact = (index: number, n: number) =>
    this.officeContact(Math.floor(index / filesPerOffice), 200 + (index % filesPerOffice) * 4 + n);
  taskList = (index: number) => this.base + 1 + index;
  /** Up to 16 of each kind a file. */
  part = (index: number, n: number) => this.base + 1 + index * 16 + n;
}

/** Files come in offices of this many: agents, coordinators and the usual lenders and escrow officers are theirs. */
export const filesPerOffice = 50;
