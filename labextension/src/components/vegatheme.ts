type Spec = Record<string, unknown>;

/**
 * A chart's spec in the colours of the page, as wide as its place.
 *
 * What the spec says itself stays.
 */
export function themed(spec: Spec, place: HTMLElement): Spec {
  const style = getComputedStyle(place);
  const colour = (name: string): string => style.getPropertyValue(name).trim();
  const text = colour('--jp-ui-font-color1');
  const line = colour('--jp-border-color2');
  const font = colour('--jp-ui-font-family') || 'sans-serif';
  const axis = {
    labelColor: text,
    titleColor: text,
    gridColor: line,
    domainColor: line,
    tickColor: line,
    titleFontWeight: 'normal',
    labelFont: font,
    titleFont: font
  };
  const config = {
    font,
    axis,
    legend: { labelColor: text, titleColor: text, titleFontWeight: 'normal' },
    header: { labelColor: text, titleColor: text },
    title: { color: text, font, fontWeight: 500, anchor: 'start' },
    view: { stroke: null },
    text: { color: text, font },
    // Behind words that lie on lines.
    style: {
      halo: {
        stroke: colour('--jp-layout-color1'),
        strokeWidth: 4,
        strokeJoin: 'round'
      }
    },
    mark: { color: colour('--jp-brand-color1') },
    range: {
      category: [
        '--jp-brand-color1',
        '--jp-warn-color1',
        '--jp-success-color1',
        '--jp-error-color1',
        '--jp-info-color1'
      ].map(colour)
    }
  };
  const isSingle = 'mark' in spec || 'layer' in spec;
  return {
    ...(isSingle && !('width' in spec)
      ? { width: 'container', autosize: { type: 'fit-x', contains: 'padding' } }
      : {}),
    ...spec,
    background: 'transparent',
    config: merge(config, (spec.config ?? {}) as Spec)
  };
}

function merge(under: Spec, over: Spec): Spec {
  const merged: Spec = { ...under };
  for (const [key, value] of Object.entries(over)) {
    if (key === '__proto__') {
      continue;
    }
    const below = Object.hasOwn(merged, key) ? merged[key] : undefined;
    merged[key] = isSpec(below) && isSpec(value) ? merge(below, value) : value;
  }
  return merged;
}

function isSpec(value: unknown): value is Spec {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
