import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { k8sFolder } from './overlays';

/** Not asked of us; the reason stands beside it. */
interface Inapplicable {
  readonly because: string;
}
type Held = string | Inapplicable;

const because = (reason: string): Inapplicable => ({ because: reason });

const user = 'run as a numbered user that is not root, with a high number that no user of a node has';
const rights =
  'drop every capability, cannot gain privileges, see /proc as everybody and cannot write to their root file system';
const node = 'share nothing with their node: no host network, process table, IPC, port, path or kernel setting';
const account = 'have a service account of their own and carry no token of it';
const resources = 'ask for CPU, memory and ephemeral storage, are limited in each, and ask for no more than the limit';
const image = 'name their image exactly';
const probes = '%s has three probes that differ, and none that a dependency can turn into a restart';
const probePorts = 'are asked by their probes on ports that they have';
const budget = 'have a disruption budget that takes one at a time and lets sick pods go';
const spread = 'are spread over nodes and zones where there can be more than one';
const ownPods = 'select exactly their own pods';
const roll = 'never have fewer pods than before while they roll';
const scaler = 'are scaled by one scaler at most, and leave their number to it';
const least = 'production: there are never fewer than three of anything, and room to grow';
const jobs = 'end, are tried again a few times, and clean up after themselves';
const noRole = 'have nothing to do with one another: no role, no binding, no admission hook';
const noSecret = 'are none of the manifests';
const secretFiles =
  'reach every program, Postgres and NATS too, as files that only it can read, and never as variables';
const noSecretInMaps = 'are not in a ConfigMap either';
const ownPolicy = 'has a policy of its own for every pod';
const policyPods = 'speaks only of pods that are there';
const servicePods = 'lead to pods that listen where the service says';
const inside = 'stay inside the cluster';
const wayIn = 'is the gateway alone, over TLS, for every host';
const scraped = 'show every program to the scraper, by pod';
const schema = 'are what the schemas of their kinds ask for';
const stable = 'are of API versions that Kubernetes keeps; only what its operator has in no other is younger';
const namespace = '%s: everything is in one namespace, which enforces the restricted standard';
const variables = 'name each environment variable and each port once';
const minAvailable = because('the budgets speak of maxUnavailable');
const priority = because('priority classes belong to the whole cluster, and so to whoever owns it');
const gateways = because('the way in is an Ingress');

/** The checks of three linters, by their own names, and the test here that holds each. */
const linters: Readonly<Record<string, Readonly<Record<string, Held>>>> = {
  'kube-linter': {
    'access-to-create-pods': noRole,
    'access-to-secrets': noRole,
    'aggregate-to-admin-escalation': noRole,
    'approve-signers-without-resource-names': noRole,
    'automount-service-account-token': account,
    'bind-verb-in-role': noRole,
    'cluster-admin-role-binding': noRole,
    'cluster-wide-secrets-access': noRole,
    'configmap-with-credentials': noSecretInMaps,
    'container-runtime-sock': node,
    'dangling-horizontalpodautoscaler': scaler,
    'dangling-ingress': wayIn,
    'dangling-networkpolicy': policyPods,
    'dangling-networkpolicy-rule': policyPods,
    'dangling-networkpolicypeer-podselector': policyPods,
    'dangling-service': servicePods,
    'dangling-servicemonitor': scraped,
    'default-service-account': account,
    'deletecollection-verb-in-role': noRole,
    'deprecated-service-account-field': account,
    'dnsconfig-options': 'ask for a name with two dots or more as it is, not in five search domains first',
    'docker-sock': node,
    'drop-net-raw-capability': rights,
    'duplicate-env-var': variables,
    'env-var-secret': noSecret,
    'env-var-value-from': 'are, name by name and key by key, those of the contract',
    'escalate-verb-in-role': noRole,
    'externalname-service-redirect': inside,
    'host-ipc': node,
    'host-network': node,
    'host-pid': node,
    'hpa-maximum-replicas': least,
    'hpa-minimum-three-replicas': least,
    'image-not-pinned-by-digest': image,
    'impersonate-without-resource-names': noRole,
    'init-container-security-gap': rights,
    'insecure-route-termination': because('routes are a kind of OpenShift'),
    'invalid-target-ports': servicePods,
    'job-ttl-seconds-after-finished': jobs,
    'latest-tag': image,
    'liveness-port': probePorts,
    'minimum-three-replicas': least,
    'mismatching-selector': ownPods,
    'no-anti-affinity': spread,
    'no-extensions-v1beta': stable,
    'no-liveness-probe': probes,
    'no-node-affinity': because('which nodes there are, the owner of the cluster knows'),
    'no-readiness-probe': probes,
    'no-rolling-update-strategy': roll,
    'no-startup-probe': probes,
    'non-existent-service-account': account,
    'non-isolated-pod': ownPolicy,
    'pdb-max-unavailable': budget,
    'pdb-min-available': minAvailable,
    'pdb-unhealthy-pod-eviction-policy': budget,
    'priority-class-name': priority,
    'privilege-escalation-container': rights,
    'privileged-container': rights,
    'privileged-ports': 'listen on no port that needs a privilege',
    'projected-token-long-expiration': account,
    'read-secret-from-env-var': secretFiles,
    'readiness-port': probePorts,
    'required-annotation-email': because('who answers for it, its operator says in an overlay'),
    'required-label-owner': because('who answers for it, its operator says in an overlay'),
    'restart-policy': jobs,
    'run-as-non-root': user,
    'no-read-only-root-fs': rights,
    'scc-deny-privileged-container': because('security context constraints are a kind of OpenShift'),
    'schema-validation': schema,
    'sensitive-host-mounts': node,
    'service-type': inside,
    'sorted-keys': because('objects are written in the order in which they are read'),
    'ssh-port': 'listen on no port that needs a privilege',
    'startup-port': probePorts,
    'target-port': servicePods,
    'unsafe-proc-mount': rights,
    'unsafe-sysctls': node,
    'unset-cpu-requirements': resources,
    'unset-ephemeral-storage-requirements': resources,
    'unset-memory-requirements': resources,
    'use-namespace': namespace,
    'webhook-failure-policy-ignore': noRole,
    'wildcard-in-rules': noRole,
    'writable-host-mount': node,
  },
  'kube-score': {
    'container-ephemeral-storage-request-and-limit': resources,
    'container-image-pull-policy': because('an image that is named by its digest cannot change behind its name'),
    'container-image-tag': image,
    'container-ports-check': variables,
    'container-resource-requests-equal-limits': because(
      'CPU that nobody else needs may be used; what must not grow, the heap, is bounded by a test of its own',
    ),
    'container-resources': resources,
    'container-seccomp-profile': 'are confined by the default seccomp profile',
    'container-security-context-privileged': rights,
    'container-security-context-readonlyrootfilesystem': rights,
    'container-security-context-user-group-id': user,
    'cronjob-has-deadline': 'on a schedule never overlap and say how late they may start',
    'cronjob-restartpolicy': jobs,
    'deployment-has-host-podantiaffinity': spread,
    'deployment-has-poddisruptionbudget': budget,
    'deployment-replicas': least,
    'deployment-strategy': roll,
    'environment-variable-key-duplication': variables,
    'horizontalpodautoscaler-has-target': scaler,
    'horizontalpodautoscaler-replicas': least,
    'ingress-targets-service': wayIn,
    'label-values': 'are labels that Kubernetes takes',
    'networkpolicy-targets-pod': policyPods,
    'pod-networkpolicy': ownPolicy,
    'pod-probes': probes,
    'pod-topology-spread-constraints': spread,
    'poddisruptionbudget-has-policy': budget,
    'service-targets-pod': servicePods,
    'service-type': inside,
    'stable-version': stable,
    'statefulset-has-host-podantiaffinity': spread,
    'statefulset-has-poddisruptionbudget': budget,
    'statefulset-has-servicename': 'name the members of every StatefulSet, one by one',
    'statefulset-pod-selector-labels-match-template-metadata-labels': ownPods,
  },
  Polaris: {
    automountServiceAccountToken: account,
    clusterrolePodExecAttach: noRole,
    clusterrolebindingClusterAdmin: noRole,
    clusterrolebindingPodExecAttach: noRole,
    cpuLimitsMissing: resources,
    cpuRequestsMissing: resources,
    dangerousCapabilities: rights,
    deploymentMissingReplicas: least,
    gatewayAllowedRoutesAll: gateways,
    gatewayCrossNamespaceCertificateRef: gateways,
    gatewayInsecureFrontendValidation: gateways,
    gatewayTLSMissing: gateways,
    hostIPCSet: node,
    hostNetworkSet: node,
    hostPIDSet: node,
    hostPathSet: node,
    hostPortSet: node,
    hostProcess: node,
    hpaMaxAvailability: least,
    hpaMinAvailability: least,
    httpRouteBackendTLSMissing: gateways,
    httpRouteCrossNamespaceBackendRef: gateways,
    httpRouteInsecureListener: gateways,
    httpRouteWildcardOrEmptyHost: gateways,
    insecureCapabilities: rights,
    kgatewayBackendTLSVerificationDisabled: gateways,
    linuxHardening: 'are confined by the default seccomp profile',
    livenessProbeMissing: probes,
    memoryLimitsMissing: resources,
    memoryRequestsMissing: resources,
    metadataAndInstanceMismatched: 'carry the labels by which people and policies find them',
    missingNetworkPolicy: ownPolicy,
    missingPodDisruptionBudget: budget,
    notReadOnlyRootFilesystem: rights,
    pdbDisruptionsIsZero: budget,
    pdbMinAvailableEqualToHPAMinReplicas: minAvailable,
    pdbMinAvailableGreaterThanHPAMaxReplicas: minAvailable,
    pdbMinAvailableGreaterThanHPAMinReplicas: minAvailable,
    priorityClassNotSet: priority,
    privilegeEscalationAllowed: rights,
    procMount: rights,
    pullPolicyNotAlways: because('an image that is named by its digest cannot change behind its name'),
    readinessProbeMissing: probes,
    rolePodExecAttach: noRole,
    rolebindingClusterAdminClusterRole: noRole,
    rolebindingClusterAdminRole: noRole,
    rolebindingClusterRolePodExecAttach: noRole,
    rolebindingRolePodExecAttach: noRole,
    runAsPrivileged: rights,
    runAsRootAllowed: user,
    sensitiveConfigmapContent: noSecretInMaps,
    sensitiveContainerEnvVar: noSecret,
    tagNotSpecified: image,
    tlsSettingsMissing: wayIn,
    topologySpreadConstraint: spread,
  },
};

/** The titles of the tests here, as they stand in the code. */
const titles = readdirSync(path.join(k8sFolder, 'checks'))
  .filter((file) => file.endsWith('.spec.ts') && file !== path.basename(__filename))
  .flatMap((file) => {
    const text = readFileSync(path.join(k8sFolder, 'checks', file), 'utf8');
    return [...text.matchAll(/\b(?:it|it\.each\((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\))\(\s*'([^']+)'/g)].map(
      ([, title]) => title,
    );
  });

describe.each(Object.entries(linters))('%s', (_, checks) => {
  it('has no check that no test of that name holds', () => {
    const tests = Object.entries(checks).filter(([, held]) => typeof held === 'string');
    expect(tests.length).toBeGreaterThan(25);
    expect(tests.filter(([, held]) => !titles.includes(held as string))).toEqual([]);
  });
});
