import { LabIcon } from '@jupyterlab/ui-components';

/** A model's life: round and round through three stations. */
export const mlopsIcon = new LabIcon({
  name: 'jupyter-mlops:life',
  svgstr: `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24">
  <g class="jp-icon3" fill="#616161">
    <path d="M12 4.2a7.8 7.8 0 0 1 7.3 5l-1.9.7A5.8 5.8 0 0 0 12 6.2z"/>
    <path d="M19.6 13.6a7.8 7.8 0 0 1-5 5.7l-.6-1.9a5.8 5.8 0 0 0 3.6-4.1z"/>
    <path d="M9.4 19.3a7.8 7.8 0 0 1-5-5.7l2-.3a5.8 5.8 0 0 0 3.6 4.1z"/>
    <path d="M4.6 9.3A7.8 7.8 0 0 1 10 4.5l.5 2a5.8 5.8 0 0 0-4 3.5z"/>
    <circle cx="12" cy="4.6" r="2.6"/>
    <circle cx="5.6" cy="16.4" r="2.6"/>
    <circle cx="18.4" cy="16.4" r="2.6"/>
  </g>
</svg>`
});
