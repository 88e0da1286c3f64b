import { parseDomainEvent, Rejection } from '@keyturn/contracts';
import { subjectOf } from '../cloud-event';
import { demoEvents } from './demo-events';
import type { Made, Records } from './records';

const options = { spaceId: 'spc_7', files: 300, seed: 3 } as const;

function collect(files: number = options.files): { [N in keyof Records]: Map<number, Records[N]> } {
  const made = {
    user: new Map(),
    contact: new Map(),
    file: new Map(),
    contingency: new Map(),
    task: new Map(),
    calendar_item: new Map(),
    note: new Map(),
  };
  for (const event of demoEvents({ ...options, files })) {
    const resource = event.type.slice(0, event.type.indexOf('.')) as Made['resource'];
    made[resource].set((event.data as Made['record']).id, event.data);
  }
  return made;
}

describe('the demo brokerage', () => {
  const all = collect();
  const fileOf = (part: { fileId: number | null }) => {
    const file = all.file.get(part.fileId ?? -1);
    if (!file) throw new Error(`no file ${part.fileId}`);
    return file;
  };

  it('is made of events that data-service takes, each under its own id', () => {
    const ids = new Set<string>();
    for (const event of demoEvents(options)) {
      const parsed = parseDomainEvent(subjectOf(event), Buffer.from(JSON.stringify(event)));
      if (parsed instanceof Rejection) throw new Error(`${event.id}: ${parsed.reason}`);
      ids.add(event.id);
    }
    expect(ids.size).toBe([...demoEvents(options)].length);
  });

  it('is the same on every run, and the first files are the same in a larger load', () => {
    expect([...demoEvents(options)]).toEqual([...demoEvents(options)]);
    const larger = new Map([...demoEvents({ ...options, files: 350 })].map((event) => [event.id, event]));
    for (const event of demoEvents(options)) expect(larger.get(event.id)).toEqual(event);
  });

  it('keeps seeds and Spaces apart', () => {
    const of = (more: object) => [...demoEvents({ ...options, files: 40, ...more })];
    const files = (seed: number) =>
      of({ seed })
        .filter((event) => event.type === 'file.created')
        .map((event) => (event.data as { id: number }).id);
    expect(files(1).filter((id) => files(2).includes(id))).toEqual([]);
    const ids = new Set(of({}).map((event) => event.id));
    expect(of({ spaceId: 'spc_8' }).filter((event) => ids.has(event.id))).toEqual([]);
  });

  it('refers only to records that exist', () => {
    for (const file of all.file.values()) {
      expect(all.user.get(file.agentId ?? -1)?.role).toBe('agent');
      expect(all.user.get(file.coordinatorId ?? -1)?.role).toBe('coordinator');
    }
    for (const task of all.task.values()) {
      fileOf(task);
      expect(all.user.has(task.assignedToId ?? -1)).toBe(true);
      expect(task.completedById === null || all.user.has(task.completedById)).toBe(true);
    }
    for (const item of all.calendar_item.values()) {
      fileOf(item);
      expect(item.contingencyId === null || all.contingency.get(item.contingencyId)?.fileId === item.fileId).toBe(true);
    }
    for (const note of all.note.values()) {
      fileOf(note);
      expect(note.contactId === null || all.contact.has(note.contactId)).toBe(true);
    }
    for (const contingency of all.contingency.values()) fileOf(contingency);
    for (const contact of all.contact.values())
      expect(contact.ownerUserId === null || all.user.has(contact.ownerUserId)).toBe(true);
  });

  it('has dates in the order in which things happen', () => {
    for (const file of all.file.values()) {
      const order = [file.listingDate, file.offerDate, file.contractDate, file.inspectionDate, file.closingDate];
      const known = order.filter((day) => day !== null);
      expect(known).toEqual([...known].sort());
      expect(file.createdAt <= file.updatedAt).toBe(true);
    }
    for (const contingency of all.contingency.values()) {
      const file = fileOf(contingency);
      expect((contingency.dueDate as string) < (file.closingDate as string)).toBe(true);
      expect((contingency.startDate as string) <= (contingency.dueDate as string)).toBe(true);
      if (contingency.resolvedDate) expect(contingency.resolvedDate >= (contingency.startDate as string)).toBe(true);
    }
    for (const task of all.task.values()) {
      const { closingDate } = fileOf(task);
      const due = new Date(Date.parse(task.dueDate as string) + (task.dueOffset as number) * 60_000).toISOString();
      if (closingDate) expect(due.slice(0, 10) <= closingDate).toBe(true);
      expect(due.slice(11)).toBe('17:00:00.000Z');
      if (task.completedAt) expect(task.completedAt >= task.createdAt).toBe(true);
    }
    for (const item of all.calendar_item.values()) expect((item.startAt as string) < (item.endAt as string)).toBe(true);
  });

  it('has statuses that agree with their parts', () => {
    for (const file of all.file.values()) {
      const tasks = [...all.task.values()].filter((task) => task.fileId === file.id);
      expect(file.totalTaskCount).toBe(tasks.length);
      expect(file.completedTaskCount).toBe(tasks.filter((task) => task.completed).length);
      const contingencies = [...all.contingency.values()].filter((contingency) => contingency.fileId === file.id);
      if (file.listingStatus === 'sold') {
        expect(file.completedTaskCount).toBe(file.totalTaskCount);
        expect(file.closingDate && file.closingDate < '2026-03-10').toBe(true);
        expect(contingencies.every(({ status }) => status === 'satisfied' || status === 'waived')).toBe(true);
        expect(file.salePrice).not.toBeNull();
      }
      if (file.listingStatus === 'under_contract') expect((file.closingDate as string) > '2026-03-10').toBe(true);
      if (file.listingStatus === 'active') expect(file.contractDate).toBeNull();
    }
    for (const task of all.task.values()) expect(task.completed).toBe(task.completedAt !== null);
  });

  it('has addresses in one line, coherent prices, and names and notes of all kinds', () => {
    const files = [...all.file.values()];
    for (const file of files) {
      const unit = file.unit ? ` #${file.unit}` : '';
      const { streetNumber, streetName, city, state, zipCode } = file;
      expect(file.propertyAddress).toBe(`${streetNumber} ${streetName}${unit}, ${city}, ${state} ${zipCode}`);
      if (file.salePrice && file.listPrice && file.fileType !== 'lease') {
        expect(file.salePrice / file.listPrice).toBeGreaterThan(0.9);
        expect(file.salePrice / file.listPrice).toBeLessThan(1.1);
      }
    }
    expect(new Set(files.map((file) => file.state))).toEqual(new Set(['WA', 'OR', 'CA']));
    expect(files.some((file) => !Number.isInteger(file.commissionTotal ?? 0))).toBe(true);
    const people = [...all.contact.values()];
    expect(people.some((person) => /[^\u0000-\u024f]/.test(`${person.firstName}${person.lastName}`))).toBe(true);
    const shapes = new Set(people.map((person) => person.phone?.replaceAll(/\d/g, '9')));
    expect(shapes.size).toBeGreaterThan(5);
    expect([...all.note.values()].some((note) => (note.body?.length ?? 0) > 1500)).toBe(true);
  });
});
