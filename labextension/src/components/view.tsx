import React from 'react';

import type { Block, IView } from '../views';
import { ActionsBlock, CodeBlock, FactsBlock, NoticeBlock } from './blocks';
import { CanaryBlock } from './canary';
import { ChartBlock } from './chart';
import { DistributionBlock } from './distribution';
import { ExplorerBlock } from './explorer';
import { FindingsBlock } from './findings';
import { FormBlock } from './form';
import { FrameBlock } from './frame';
import { HeatBlock } from './heat';
import { PreviewBlock } from './preview';
import { ProgressBlock } from './progress';
import { SnippetsBlock } from './snippets';
import { TableBlock } from './table';

/** A view: its title, what can be done with it, and its other blocks. Panels and cell outputs draw the same. */
export function View(props: { view: IView }): React.JSX.Element {
  const { view } = props;
  const actions = view.blocks.filter(one => one.type === 'actions');
  return (
    <article className="jp-mlops-View" data-kind={view.kind}>
      <div className="jp-mlops-View-head">
        <h2 className="jp-mlops-View-title">
          {view.title}
          {view.subtitle ? (
            <span className="jp-mlops-View-subtitle">{view.subtitle}</span>
          ) : null}
        </h2>
        <Blocks blocks={actions} />
      </div>
      <Blocks blocks={view.blocks.filter(one => one.type !== 'actions')} />
    </article>
  );
}

export function Blocks(props: { blocks: readonly Block[] }): React.JSX.Element {
  // Which of its type: what a person filled in or opened stays when a block comes before it.
  const seen: Partial<Record<Block['type'], number>> = {};
  const drawn = (block: Block): React.JSX.Element => {
    const nth = (seen[block.type] ?? 0) + 1;
    seen[block.type] = nth;
    return <BlockView key={`${block.type}-${nth}`} block={block} />;
  };
  return (
    <>
      {runsOf(props.blocks).flatMap(run => {
        const [first] = run;
        if (!first || !ROWS.includes(first.type)) {
          return run.map(drawn);
        }
        const key = `${first.type}-run-${seen[first.type] ?? 0}`;
        return (
          <div key={key} className="jp-mlops-Run" data-type={first.type}>
            {run.map(drawn)}
          </div>
        );
      })}
    </>
  );
}

/** Of these, several after another may stand side by side where there is room. */
const ROWS: readonly Block['type'][] = ['chart', 'form'];

/** Blocks that follow each other and are of one type. */
function runsOf(blocks: readonly Block[]): Block[][] {
  const runs: Block[][] = [];
  for (const block of blocks) {
    const last = runs[runs.length - 1];
    if (last && last[0]?.type === block.type) {
      last.push(block);
    } else {
      runs.push([block]);
    }
  }
  return runs;
}

function BlockView(props: { block: Block }): React.JSX.Element {
  const { block } = props;
  switch (block.type) {
    case 'facts':
      return <FactsBlock block={block} />;
    case 'table':
      return <TableBlock block={block} />;
    case 'chart':
      return <ChartBlock block={block} />;
    case 'notice':
      return <NoticeBlock block={block} />;
    case 'frame':
      return <FrameBlock block={block} />;
    case 'preview':
      return <PreviewBlock block={block} />;
    case 'code':
      return <CodeBlock block={block} />;
    case 'actions':
      return <ActionsBlock block={block} />;
    case 'distribution':
      return <DistributionBlock block={block} />;
    case 'findings':
      return <FindingsBlock block={block} />;
    case 'explorer':
      return <ExplorerBlock block={block} Opened={Blocks} />;
    case 'progress':
      return <ProgressBlock block={block} />;
    case 'form':
      return <FormBlock block={block} Answer={Blocks} />;
    case 'snippets':
      return <SnippetsBlock block={block} />;
    case 'heat':
      return <HeatBlock block={block} Opened={Blocks} />;
    case 'canary':
      return <CanaryBlock block={block} />;
  }
}
