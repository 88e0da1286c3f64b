import path from 'node:path';
import ts from 'typescript';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler';
import { CronJob } from 'kubernetes-models/batch/v1/CronJob';
import { Job } from 'kubernetes-models/batch/v1/Job';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import { Cluster } from '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster';
import { ScheduledBackup } from '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/ScheduledBackup';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import type { Manifest } from './manifest';

interface Model {
  validate(): void;
}

/** Where each kind's model comes from: its class checks values, its type checks names. */
const models = [
  known(Deployment, 'kubernetes-models/apps/v1/Deployment'),
  known(StatefulSet, 'kubernetes-models/apps/v1/StatefulSet'),
  known(HorizontalPodAutoscaler, 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler'),
  known(CronJob, 'kubernetes-models/batch/v1/CronJob'),
  known(Job, 'kubernetes-models/batch/v1/Job'),
  known(Ingress, 'kubernetes-models/networking.k8s.io/v1/Ingress'),
  known(NetworkPolicy, 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'),
  known(PodDisruptionBudget, 'kubernetes-models/policy/v1/PodDisruptionBudget'),
  known(ConfigMap, 'kubernetes-models/v1/ConfigMap'),
  known(Namespace, 'kubernetes-models/v1/Namespace'),
  known(Secret, 'kubernetes-models/v1/Secret'),
  known(Service, 'kubernetes-models/v1/Service'),
  known(ServiceAccount, 'kubernetes-models/v1/ServiceAccount'),
  known(Cluster, '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/Cluster'),
  known(ScheduledBackup, '@kubernetes-models/cloudnative-pg/postgresql.cnpg.io/v1/ScheduledBackup'),
  known(ScaledObject, '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject'),
  known(PodMonitor, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor'),
  known(PrometheusRule, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule'),
  known(ServiceMonitor, '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor'),
];

function known<D>(type: { apiVersion: string; kind: string; new (data: D): Model }, module: string) {
  return {
    apiVersion: type.apiVersion,
    kind: type.kind,
    module,
    make: (object: Manifest): Model => new type(object as unknown as D),
  };
}

function modelOf(object: Manifest) {
  const model = models.find(({ apiVersion, kind }) => apiVersion === object.apiVersion && kind === object.kind);
  if (!model) throw new Error(`there is no model of ${object.apiVersion} ${object.kind} here`);
  return model;
}

/** Throws when a value of the object is not what its kind's schema asks for. Says nothing of fields that it does not know. */
export function validate(object: Manifest): void {
  modelOf(object).make(object).validate();
}

const root = path.resolve(__dirname, '../..');
const fileOf = (index: number) => path.join(root, 'k8s', `object-${index}.ts`);

/**
 * The fields that no model knows, and values of a wrong type, by object: an API server drops an unknown field without a
 * word. Each object becomes a literal of its model's type, and the compiler, which minds superfluous names in a literal
 * at any depth, is asked what it thinks.
 */
export function typeProblems(objects: readonly Manifest[]): string[][] {
  const sources = new Map(
    objects.map((object, index) => {
      const { module, kind } = modelOf(object);
      const literal = JSON.stringify(object, undefined, 1);
      return [fileOf(index), `import type { I${kind} } from '${module}';\nexport const it: I${kind} = ${literal};\n`];
    }),
  );
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    lib: ['lib.es2023.d.ts'],
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.Preserve,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile, fileExists, readFile } = host;
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  host.readFile = (file) => sources.get(file) ?? readFile(file);
  host.getSourceFile = (file, language, ...rest) => {
    const source = sources.get(file);
    return source === undefined
      ? getSourceFile(file, language, ...rest)
      : ts.createSourceFile(file, source, language, true);
  };
  const program = ts.createProgram([...sources.keys()], options, host);
  return objects.map((_, index) => {
    const file = program.getSourceFile(fileOf(index));
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((problem) =>
      ts.flattenDiagnosticMessageText(problem.messageText, ' '),
    );
  });
}
