/** What stands in the documents: their code blocks. */
import { readFile } from 'node:fs/promises';

const ROOT = new URL('../../../', import.meta.url);

export interface Block {
  /** What stands behind the opening fence; empty where nothing does. */
  readonly language: string;
  readonly text: string;
  /** Of its first line, from 1. */
  readonly line: number;
}

/** @param file relative to the repository */
export async function blocksOf(file: string, from: URL = ROOT): Promise<Block[]> {
  const lines = (await readFile(new URL(file, from), 'utf8')).split('\n');
  const blocks: Block[] = [];
  let open: { language: string; line: number; text: string[] } | undefined;
  for (const [at, line] of lines.entries()) {
    const fence = /^ *```(.*)$/.exec(line);
    if (!fence) open?.text.push(line);
    else if (open) {
      blocks.push({ ...open, text: open.text.join('\n') });
      open = undefined;
    } else open = { language: fence[1]?.trim() ?? '', line: at + 2, text: [] };
  }
  if (open) throw new Error(`${file}:${open.line - 1}: a code block without an end`);
  return blocks;
}

/** The one block of a language that has this text in it. */
export async function blockWith(file: string, language: string, part: string): Promise<string> {
  const found = (await blocksOf(file)).filter(
    (block) => block.language === language && block.text.includes(part),
  );
  if (found.length !== 1)
    throw new Error(`${file}: ${found.length} blocks of ${language} with ${JSON.stringify(part)}`);
  return found[0]?.text ?? '';
}
