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
