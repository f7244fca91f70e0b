/** What a page loads when it imports `tidemark/client`, and the fallback: small, and nothing of the server or of zod. */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { expect, test } from 'vitest';

interface Bundle {
  /** Minified and zipped. */
  readonly bytes: number;
  /** Rooms of `src/`, and packages, that something of is in it. */
  readonly from: ReadonlySet<string>;
}

/** @param entry a file of `src/client` */
async function bundle(entry: string): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL(`../../../src/client/${entry}`, import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    write: false,
    metafile: true,
    logLevel: 'silent',
  });
  const bytes = gzipSync(outputFiles[0]?.contents ?? new Uint8Array(), { level: 9 }).byteLength;
  console.log(`${entry}: ${bytes} bytes min+gzip`);
  const from = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs)
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([file]) => /(?:src|node_modules)\/([^/]+)\//.exec(file)?.[1] ?? file),
  );
  return { bytes, from: new Set(from) };
}

test('at most 10 KiB, minified and zipped, of the client and of the protocol alone', async () => {
  const { bytes, from } = await bundle('index.ts');
  expect(bytes).toBeGreaterThan(1_000);
  expect(bytes).toBeLessThanOrEqual(10 * 1024);
  expect(from).toEqual(new Set(['client', 'protocol']));
});

test('the fallback is at most 5 KiB more, with its parser', async () => {
  const { bytes, from } = await bundle('sse/index.ts');
  expect(bytes).toBeGreaterThan(500);
  expect(bytes).toBeLessThanOrEqual(5 * 1024);
  expect(from).toEqual(new Set(['client', 'eventsource-parser']));
});
