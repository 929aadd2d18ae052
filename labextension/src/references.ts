/**
 * What answers which question: references and lists to verbs, and back to magic lines.
 */

import type { IView } from './views';

/** A verb with its arguments. */
export interface IQuery {
  readonly verb: string;
  readonly args: Readonly<Record<string, string>>;
}

/** Verbs that change nothing: they are asked by GET, and asked again when things change. */
const READS: Readonly<Record<string, readonly string[]>> = {
  status: [''],
  doctor: [],
  help: [],
  agent: ['agent.'],
  'audit-verify': [],
  'data-ls': ['dataset.'],
  'data-show': ['dataset.'],
  'data-sample': ['dataset.'],
  'profile-show': [],
  'profile-columns': [],
  'profile-column': [],
  'contract-ls': ['contract.'],
  'contract-show': ['contract.'],
  'contract-diff': [],
  'label-status': ['label.'],
  'label-next': ['label.'],
  'label-people': ['label.'],
  'label-stats': ['label.'],
  'label-agreement': ['label.'],
  'label-disputes': ['label.'],
  'label-require': [],
  runs: ['run.', 'model.'],
  compare: [],
  'experiment-ls': ['experiment.', 'run.'],
  'experiment-show': ['experiment.', 'run.'],
  'experiment-winner': ['experiment.', 'run.'],
  'experiment-compare': [],
  'cluster-ls': ['cluster.'],
  gpu: ['gpu.'],
  'env-ls': ['env.'],
  'env-show': ['env.'],
  'env-check': [],
  models: ['model.', 'endpoint.'],
  'gate-show': ['gate.'],
  'models-compare': [],
  checks: ['drift.'],
  reports: ['report.'],
  performance: ['feedback.'],
  'skew-show': ['skew.'],
  outliers: [],
  'drift-map': [],
  'drift-feature': [],
  endpoints: [
    'endpoint.',
    'feedback.',
    'drift.',
    'alert.',
    'monitor.',
    'model.alias_moved'
  ],
  streams: ['stream.'],
  predictions: ['prediction.'],
  policies: ['policy.', 'decision.'],
  decisions: ['decision.', 'policy.'],
  'endpoint-logs': ['endpoint.'],
  'endpoint-health': ['endpoint.', 'alert.', 'drift.', 'decision.'],
  monitors: ['monitor.', 'alert.', 'drift.'],
  alerts: ['alert.'],
  'channel-ls': ['channel.', 'alert.']
};

/** Predictions are being asked for: nothing was recorded that others would show. */
const TRAFFIC = 'endpoint.traffic';
const SEE_TRAFFIC = ['endpoints', 'endpoint-logs'];

/** Verb and argument that show one record of a kind; all of them only read. */
const SHOWS: Readonly<Record<string, readonly [verb: string, name: string]>> = {
  data: ['data-show', 'name'],
  profile: ['profile-show', 'ref'],
  contract: ['contract-show', 'name'],
  run: ['runs', 'name'],
  experiment: ['experiment-show', 'name'],
  env: ['env-show', 'name'],
  model: ['models', 'name'],
  endpoint: ['endpoints', 'name'],
  stream: ['streams', 'name'],
  prediction: ['predictions', 'name'],
  drift: ['checks', 'name'],
  skew: ['skew-show', 'ref'],
  policy: ['policies', 'name'],
  decision: ['decisions', 'name'],
  monitor: ['monitors', 'endpoint'],
  alert: ['alerts', 'name'],
  label: ['label-status', 'task']
};

/** Kinds whose names are ids: their verbs take the whole reference. */
const WHOLE = ['run', 'drift', 'skew', 'profile', 'decision', 'alert'];

export function isRead(verb: string): boolean {
  return Object.hasOwn(READS, verb);
}

/**
 * Whether an event of that kind may change the answer to a query.
 *
 * @param experiment - Id of the experiment whose trial the event is about.
 */
export function concerns(
  query: IQuery,
  kind: string,
  experiment?: string
): boolean {
  if (
    !isRead(query.verb) ||
    (kind === TRAFFIC && !SEE_TRAFFIC.includes(query.verb))
  ) {
    return false;
  }
  const { name } = query.args;
  if (
    experiment &&
    query.verb.startsWith('experiment-') &&
    /^[0-9a-f]{32}$/.test(name ?? '')
  ) {
    return name === experiment;
  }
  return (READS[query.verb] ?? []).some(prefix => kind.startsWith(prefix));
}

/** A reference in its parts: `data:flights@3` is `data`, `flights@3`. */
export function splitReference(ref: string): { kind: string; name: string } {
  const at = ref.indexOf(':');
  return at < 0
    ? { kind: '', name: ref }
    : { kind: ref.slice(0, at), name: ref.slice(at + 1) };
}

/**
 * The query whose answer shows a record.
 *
 * @returns null when nothing shows records of that kind.
 */
export function queryOf(ref: string): IQuery | null {
  const { kind, name } = splitReference(ref);
  if (!name || !Object.hasOwn(SHOWS, kind)) {
    return null;
  }
  const [verb, argument] = SHOWS[kind] ?? ['', ''];
  return {
    verb,
    args: { [argument]: WHOLE.includes(kind) ? ref : name }
  };
}

/** Kinds of views that show a record as its panel does; others show something made of it. */
const RECORDS = [
  'dataset',
  'contract',
  'run',
  'experiment',
  'model',
  'endpoint',
  'stream',
  'batch-job',
  'drift',
  'skew',
  'policy',
  'decision',
  'monitor',
  'alert',
  'label-task'
];

/** The query that keeps showing what a result shows; null when nothing does. */
export function queryOfResult(view: IView): IQuery | null {
  return RECORDS.includes(view.kind) ? queryOf(view.ref ?? '') : null;
}

/** The same for the same question, whatever the order of arguments. */
export function keyOf(query: IQuery): string {
  const args = Object.entries(query.args).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([query.verb, args]);
}

/** The line that does in a cell what a query does in a panel. */
export function lineOf(query: IQuery): string {
  const words = ['%mlops', query.verb.replace(/-/g, ' ')];
  for (const value of Object.values(query.args)) {
    words.push(/^[\w@:./+-]+$/.test(value) ? value : JSON.stringify(value));
  }
  return words.join(' ');
}

/**
 * A record's name as a person reads it: of an id the first 8 digits, or 12 where it begins with
 * the millisecond at which it was made.
 */
export function shortName(ref: string): string {
  const { kind, name } = splitReference(ref);
  return /^[0-9a-f]{32}$/.test(name)
    ? name.slice(0, kind === 'run' ? 8 : 12)
    : name;
}
