import { nameOf, type Manifest } from './manifest';
import { kubectlBuild, objectsOf, overlays } from './overlays';

const byName = (objects: readonly Manifest[]) =>
  Object.fromEntries(objects.map((object) => [nameOf(object), object] as const).sort(([a], [b]) => (a < b ? -1 : 1)));

describe.each(overlays)('overlay %s', (overlay) => {
  it('builds', () => {
    expect(objectsOf(overlay).length).toBeGreaterThan(40);
  });

  it('names every object once', () => {
    const names = objectsOf(overlay).map(nameOf);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  const built = kubectlBuild(overlay);
  if (built)
    it('builds to the same objects with kubectl kustomize (present on this machine)', () => {
      expect(byName(objectsOf(overlay))).toEqual(byName(built));
    });
  else
    it('builds with our own reading of kustomize alone: kubectl is not on this machine', () => {
      expect(built).toBeUndefined();
    });
});
