/** What the server says when it refuses: what was wrong, why, and what to do. */
export class Refusal extends Error {
  constructor(
    readonly what: string,
    readonly why: string = '',
    readonly fix: string = '',
    readonly code: string = ''
  ) {
    super(why ? `${what}: ${why}` : what);
    this.name = 'Refusal';
  }
}

/** Code of the refusal that says that nothing has been kept yet. */
export const NO_WORKSPACE = 'E-WORKSPACE-001';
