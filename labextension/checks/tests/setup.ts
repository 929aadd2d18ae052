/** What browsers have, jsdom lacks, and Lumino wants when it is loaded. */
globalThis.DragEvent ??= class extends MouseEvent {} as typeof DragEvent;
