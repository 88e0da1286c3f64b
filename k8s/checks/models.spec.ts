import { nameOf, type Manifest } from './manifest';
import { typeProblems, validate } from './models';
import { objectsOf, overlays } from './overlays';

// A cold compiler reads the whole of the models' types once.
jest.setTimeout(60_000);

describe.each(overlays)('objects of overlay %s', (overlay) => {
  it('are what the schemas of their kinds ask for', () => {
    const problems = objectsOf(overlay).flatMap((object) => {
      try {
        validate(object);
        return [];
      } catch (error) {
        return [`${nameOf(object)}: ${(error as Error).message}`];
      }
    });
    expect(problems).toEqual([]);
  });

  it('have no field that their kinds do not know', () => {
    const objects = objectsOf(overlay);
    const problems = typeProblems(objects).flatMap((found, index) =>
      found.map((problem) => `${nameOf(objects[index] as Manifest)}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });
});

describe.each(overlays)('kinds and labels of overlay %s', (overlay) => {
  it('are of API versions that Kubernetes keeps; only what its operator has in no other is younger', () => {
    const young = objectsOf(overlay).filter(({ apiVersion }) => !/(^|\/)v\d+$/.test(apiVersion));
    expect(young.map(nameOf)).toEqual(
      overlay === 'production' ? [expect.stringContaining('ScaledObject/dispatcher')] : [],
    );
  });

  it('are labels that Kubernetes takes', () => {
    const labels = objectsOf(overlay).flatMap(({ metadata }) => Object.entries(metadata.labels ?? {}));
    const name = /^([a-z0-9.-]{1,253}\/)?[A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?$/;
    const value = /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/;
    expect(labels.length).toBeGreaterThan(40);
    expect(labels.filter((label) => !name.test(label[0]) || !value.test(label[1]))).toEqual([]);
  });
});

describe('the check of fields', () => {
  const deployment = () =>
    structuredClone(objectsOf('local').find(({ kind }) => kind === 'Deployment')) as unknown as {
      spec: { template: { spec: { containers: Record<string, unknown>[] } } };
    };

  it('finds a misspelt field deep inside, which the schemas let pass', () => {
    const typo = deployment();
    const [container] = typo.spec.template.spec.containers;
    (container as Record<string, unknown>).readynessProbe = {};
    const object = typo as unknown as Manifest;
    expect(() => validate(object)).not.toThrow();
    expect(typeProblems([object])).toEqual([[expect.stringContaining('readynessProbe')]]);
  });

  it('finds a value of the wrong type', () => {
    const wrong = deployment() as unknown as Manifest & { spec: Record<string, unknown> };
    wrong.spec.minReadySeconds = 'five';
    expect(() => validate(wrong)).toThrow();
  });
});
