import { at, fieldsOf, listOf, type Fields, type Manifest } from './manifest';
import { objectsOf, type Overlay } from './overlays';

/** Whatever makes pods, with the pod it makes. */
export interface Workload {
  readonly object: Manifest;
  readonly kind: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly pod: Fields;
  readonly containers: readonly Fields[];
  /** Runs until it is told to stop: a Deployment or a StatefulSet. */
  readonly lasting: boolean;
}

const templatePath: Record<string, string> = {
  Deployment: 'spec.template',
  StatefulSet: 'spec.template',
  Job: 'spec.template',
  CronJob: 'spec.jobTemplate.spec.template',
};

export function workloadsOf(overlay: Overlay): Workload[] {
  return objectsOf(overlay).flatMap((object) => {
    const path = templatePath[object.kind];
    if (!path) return [];
    const template = at(object, path);
    const pod = fieldsOf(at(template, 'spec'));
    return [
      {
        object,
        kind: object.kind,
        name: object.metadata.name,
        labels: fieldsOf(at(template, 'metadata.labels')) as Record<string, string>,
        pod,
        containers: [...listOf(pod.initContainers), ...listOf(pod.containers)],
        lasting: object.kind === 'Deployment' || object.kind === 'StatefulSet',
      },
    ];
  });
}

export const lastingOf = (overlay: Overlay) => workloadsOf(overlay).filter(({ lasting }) => lasting);

export const ofKind = (overlay: Overlay, kind: string) => objectsOf(overlay).filter((object) => object.kind === kind);

/** Whether `matchLabels` of a selector takes these labels. An empty selector takes everything. */
export function selects(selector: unknown, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(fieldsOf(at(selector, 'matchLabels'))).every(([label, value]) => labels[label] === value);
}

/** `250m`, `2`, `64Mi`, `1Gi` as a number of cores or bytes. */
export function quantity(text: unknown): number {
  const match = /^(\d+(?:\.\d+)?)(m|Ki|Mi|Gi|Ti)?$/.exec(String(text));
  if (!match) throw new Error(`"${String(text)}" is no quantity`);
  const units: Record<string, number> = { m: 0.001, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };
  return Number(match[1]) * (match[2] ? (units[match[2]] as number) : 1);
}
