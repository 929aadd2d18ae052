/** What the server says when it refuses: what was wrong, why, and what to do. */
export class Refusal extends Error {
  constructor(
    readonly what: string,
    readonly why: string = '',
    readonly fix: string = '',
    readonly code: string = '',
    /** What is wrong with each thing that was filled in, by its name. */
    readonly fields: Readonly<Record<string, string>> = {}
  ) {
    super(why ? `${what}: ${why}` : what);
    this.name = 'Refusal';
  }
}
