/**
 * The view model: what the server and the kernel send, and the panels draw.
 */

export type Level = 'info' | 'good' | 'warn' | 'bad';

export type CellKind =
  | 'text'
  | 'number'
  | 'percent'
  | 'time'
  | 'ref'
  | 'bar'
  | 'spark'
  | 'badge'
  | 'link'
  | 'actions';

export interface IFact {
  label: string;
  value: string;
  hint?: string;
  /** Leads on from the server's own address. */
  path?: string;
  /** The record whose panel it leads to. */
  ref?: string;
}

export interface IFacts {
  type: 'facts';
  title?: string;
  items: IFact[];
}

export interface IColumn {
  key: string;
  label: string;
  kind?: CellKind;
  align?: 'left' | 'right';
  /** How many decimals its numbers have; four significant digits without it. */
  digits?: number | null;
}

export type Row = Readonly<Record<string, unknown>>;

export interface ITable {
  type: 'table';
  title?: string;
  columns: IColumn[];
  rows: Row[];
  total?: number | null;
  empty?: string;
}

export interface IChart {
  type: 'chart';
  title?: string;
  spec: Record<string, unknown>;
  png?: string;
  alt: string;
}

export interface INotice {
  type: 'notice';
  level?: Level;
  text: string;
  fix?: string;
}

export interface IPreview {
  type: 'preview';
  columns: string[];
  rows: string[][];
  total?: number | null;
}

export interface ICode {
  type: 'code';
  language?: string;
  title?: string;
  text: string;
  /** Whether it is a cell for the notebook. */
  insert?: boolean;
}

/** A page that the server keeps, to be shown in a frame of its own. */
export interface IFrame {
  type: 'frame';
  title: string;
  /** Where it is, below the server's own address. */
  path: string;
}

export interface IAction {
  label: string;
  verb: string;
  args?: Record<string, unknown>;
  confirm?: string;
  danger?: boolean;
  line?: string;
  /** A cell to put into the notebook, instead of setting off the verb. */
  insert?: string;
}

export interface IActions {
  type: 'actions';
  items: IAction[];
}

/** One table's share of each bar of a distribution. */
export interface ISeries {
  label: string;
  shares: number[];
}

/** Bars between two ends, or one for each label. */
export interface IDistribution {
  type: 'distribution';
  title?: string;
  labels?: string[];
  ends?: string[];
  series: ISeries[];
  note?: string;
}

export interface IFinding {
  level?: Level;
  subject: string;
  finding: string;
  evidence: string;
  action?: string;
  code?: string;
}

export interface IFindings {
  type: 'findings';
  title?: string;
  items: IFinding[];
  total?: number | null;
  empty?: string;
}

/** A verb that only reads. */
export interface IAsk {
  verb: string;
  args?: Record<string, unknown>;
  /** How its arguments are called where they aren't called as others call them. */
  names?: Record<string, string>;
}

/** A table whose rows open; what isn't here is asked for where there is a server. */
export interface IExplorer {
  type: 'explorer';
  title?: string;
  columns: IColumn[];
  rows: Row[];
  details?: Record<string, Block[]>;
  total: number;
  names?: string;
  pages?: IAsk | null;
  detail?: IAsk | null;
  /** An example of the conditions that the search takes instead of words. */
  condition?: string;
  empty?: string;
}

export interface IProgress {
  type: 'progress';
  done: number;
  total?: number | null;
  unit?: string;
  seconds?: number;
  remaining?: number | null;
}

export type FieldKind =
  'text' | 'lines' | 'number' | 'choice' | 'dataset' | 'switch' | 'list';

export interface IField {
  name: string;
  label: string;
  kind?: FieldKind;
  value?: string;
  choices?: string[];
  hint?: string;
  required?: boolean;
  /** What is chosen while nothing is. */
  unset?: string;
  /** What is sent where what stood there is taken away; without it, nothing. */
  emptied?: string | null;
}

/** A verb whose arguments a person fills in. */
export interface IForm {
  type: 'form';
  title?: string;
  submit: string;
  verb: string;
  args?: Record<string, unknown>;
  fields: IField[];
  changes?: boolean;
  /** The argument that takes all fields as one JSON object. */
  into?: string;
  /** Whether the answer belongs below the form. */
  inline?: boolean;
  confirm?: string;
  danger?: boolean;
}

/** The same thing in several languages. */
export interface ISnippets {
  type: 'snippets';
  title?: string;
  items: ICode[];
}

/** A column of a heat map, and what a question about one of its cells says of it. */
export interface IHeatColumn {
  label: string;
  hint?: string;
  args?: Record<string, unknown>;
}

/** A row of a heat map: for each column a level and a figure. */
export interface IHeatRow {
  label: string;
  levels: (Level | null)[];
  values: (number | null)[];
  args?: Record<string, unknown>;
}

/** Levels by row and column, as squares; one that is chosen is asked about. */
export interface IHeat {
  type: 'heat';
  title?: string;
  columns: IHeatColumn[];
  rows: IHeatRow[];
  /** What the figures are. */
  unit?: string;
  /** What the levels mean. */
  words?: Partial<Record<Level, string>>;
  detail?: IAsk | null;
  total?: number | null;
  note?: string;
}

/** Which share of an endpoint's requests another version answers. */
export interface ICanary {
  type: 'canary';
  title?: string;
  endpoint: string;
  model: string;
  /** The version that answers the others. */
  primary: string;
  /** Empty without a canary. */
  version?: string;
  share?: number;
}

export type Block =
  | IFacts
  | ITable
  | IChart
  | INotice
  | IPreview
  | ICode
  | IActions
  | IDistribution
  | IFindings
  | IExplorer
  | IProgress
  | IForm
  | ISnippets
  | IHeat
  | ICanary
  | IFrame;

export interface IView {
  kind: string;
  title: string;
  subtitle?: string;
  ref?: string | null;
  line?: string;
  blocks: Block[];
}

/** Whether a path leads on from the server's own address and to nowhere else. */
export function isServed(path: string): boolean {
  return /^[\w-]+(\/[\w-]+)*$/.test(path);
}

export function mimeType(kind: string): string {
  return `application/vnd.jupyter-mlops.${kind}.v1+json`;
}

/**
 * Read a view from JSON that may come from any version of the package.
 *
 * @returns The view, or null when the JSON is none.
 */
export function readView(json: unknown): IView | null {
  if (
    !isRecord(json) ||
    typeof json.title !== 'string' ||
    !Array.isArray(json.blocks)
  ) {
    return null;
  }
  return {
    kind: textOf(json.kind),
    title: json.title,
    subtitle: textOf(json.subtitle),
    ref: typeof json.ref === 'string' && json.ref ? json.ref : null,
    line: textOf(json.line),
    blocks: json.blocks.filter(isBlock)
  };
}

/**
 * A row's own value: names such as `constructor` are data like any other.
 */
export function valueOf(row: Row, key: string): unknown {
  return Object.hasOwn(row, key) ? row[key] : null;
}

const LEVELS: readonly string[] = ['info', 'good', 'warn', 'bad'];

/** A level of importance; what is none counts as the least. */
export function levelOf(level: unknown): Level {
  return LEVELS.includes(String(level)) ? (level as Level) : 'info';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A thing's blocks that this version knows. */
export function blocksOf(blocks: unknown): Block[] {
  return Array.isArray(blocks) ? blocks.filter(isBlock) : [];
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

/** A block whose lists are lists; blocks of a later version are left out. */
function isBlock(block: unknown): block is Block {
  if (!isRecord(block)) {
    return false;
  }
  switch (block.type) {
    case 'facts':
    case 'actions':
    case 'findings':
    case 'snippets':
      return Array.isArray(block.items) && block.items.every(isRecord);
    case 'canary':
      return (
        typeof block.endpoint === 'string' &&
        typeof block.model === 'string' &&
        typeof block.primary === 'string'
      );
    case 'table':
    case 'explorer':
      return (
        Array.isArray(block.columns) &&
        block.columns.every(isRecord) &&
        Array.isArray(block.rows) &&
        block.rows.every(isRecord)
      );
    case 'heat':
      return (
        Array.isArray(block.columns) &&
        block.columns.every(isRecord) &&
        Array.isArray(block.rows) &&
        block.rows.every(
          row =>
            isRecord(row) &&
            Array.isArray(row.levels) &&
            Array.isArray(row.values)
        )
      );
    case 'preview':
      return (
        Array.isArray(block.columns) &&
        Array.isArray(block.rows) &&
        block.rows.every(row => Array.isArray(row))
      );
    case 'chart':
      return isRecord(block.spec);
    case 'distribution':
      return (
        Array.isArray(block.series) &&
        block.series.length > 0 &&
        block.series.every(
          one => isRecord(one) && Array.isArray(one.shares) && one.shares.length
        )
      );
    case 'progress':
      return typeof block.done === 'number';
    case 'form':
      return (
        typeof block.verb === 'string' &&
        Array.isArray(block.fields) &&
        block.fields.every(isRecord)
      );
    case 'frame':
      return typeof block.title === 'string' && typeof block.path === 'string';
    case 'notice':
    case 'code':
      return typeof block.text === 'string';
    default:
      return false;
  }
}
