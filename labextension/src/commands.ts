/** The extension's commands. */
export namespace CommandIDs {
  export const showOverview = 'jupyter-mlops:show-overview';
  export const openList = 'jupyter-mlops:open-list';
  export const openReference = 'jupyter-mlops:open-reference';
  export const openQuery = 'jupyter-mlops:open-query';
  export const openReport = 'jupyter-mlops:open-report';
  export const openLabeler = 'jupyter-mlops:open-labeler';
  export const insertLine = 'jupyter-mlops:insert-line';
  export const refreshViews = 'jupyter-mlops:refresh-views';
  export const profileVariable = 'jupyter-mlops:profile-variable';
  export const stopEndpoint = 'jupyter-mlops:stop-endpoint';
}

/** JSON Schema of a command's arguments, all of them strings. */
export function describe(
  properties: Readonly<Record<string, string>>,
  required: readonly string[] = Object.keys(properties)
) {
  return {
    args: {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, description]) => [
          name,
          { type: 'string', description }
        ])
      ),
      required: [...required]
    }
  };
}

/** An argument that should be text; empty when it is anything else. */
export function textArgument(
  args: Readonly<Record<string, unknown>>,
  name: string
): string {
  const value = Object.hasOwn(args, name) ? args[name] : '';
  return typeof value === 'string' ? value : '';
}
