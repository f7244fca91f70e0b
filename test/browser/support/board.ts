/** The orders example with its page on free ports, and a page of it in a browser that is watched for errors. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';
import orders from '../../../examples/orders/app.js';
import { loadConfig } from '../../../src/app/config.js';
import { createRuntime, type Runtime } from '../../../src/app/runtime.js';
import { silentLogger } from '../../../src/platform/logger.js';
import { freshDatabase, type FreshDatabase } from '../../support/postgres.js';
import { START_MS, useBrowser } from './chromium.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PAGE = fileURLToPath(new URL('../../../examples/orders/board/dist/page', import.meta.url));

export interface OpenPage {
  readonly page: Page;
  /** What the console and the policy complained about. */
  readonly complaints: readonly string[];
}

export interface Board {
  /** Without a slash at the end. */
  url(): string;
  /**
   * A new browser with nothing in common with the others, on the page.
   * @param begin goes to the page and waits until it is ready; until the board is live unless told otherwise
   */
  open(options?: BrowserContextOptions, begin?: (page: Page) => Promise<void>): Promise<OpenPage>;
  /** One that stays for the whole file, as the test before left it: for those who look on, and whose visit is not the point. */
  shared(): Promise<OpenPage>;
  /** Places an order as somebody else would. */
  place(orderId: string, customerId?: string): Promise<void>;
  send(orderId: string, command: string, input: unknown): Promise<void>;
}

/** Only where its sources have changed since. */
export async function builtBoard(): Promise<string> {
  await promisify(execFile)(process.execPath, ['scripts/board.js'], { cwd: ROOT });
  return PAGE;
}

/**
 * For a whole test file.
 * @param build makes the page that is served, and gives its folder; the board unless told otherwise
 */
export function useBoard(build: () => Promise<string> = builtBoard): Board {
  const browser = useBrowser();
  let postgres: FreshDatabase | undefined;
  let runtime: Runtime | undefined;
  beforeAll(async () => {
    const pageDir = await build();
    postgres = await freshDatabase();
    const config = loadConfig({ DATABASE_URL: postgres.url, PORT: '0', REALTIME_PORT: '0' });
    runtime = createRuntime(orders, config, { logger: silentLogger, pageDir });
    await runtime.start();
  }, START_MS);
  afterAll(async () => {
    await runtime?.stop();
    await postgres?.drop();
  });
  const url = (): string => {
    if (!runtime) throw new Error('the board is started before all tests');
    return runtime.urls.http;
  };

  async function send(orderId: string, command: string, input: unknown): Promise<void> {
    const answer = await fetch(`${url()}/commands/order/${orderId}/${command}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    });
    expect(answer.status, await answer.text()).toBe(200);
  }

  async function toBoard(page: Page): Promise<void> {
    await page.goto(url());
    await page.locator('.status[data-status="live"]').waitFor();
  }

  /** With what it complained about so far, to which more is added. */
  async function openIn(
    options: BrowserContextOptions,
    begin: (page: Page) => Promise<void>,
  ): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.get().newContext({ reducedMotion: 'reduce', ...options });
    const page = await context.newPage();
    // Long, as other tests run beside it; waiting ends with what it waits for.
    page.setDefaultTimeout(60_000);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('requestfailed', (request) =>
      complaints.push(`${request.url()} ${request.failure()?.errorText ?? ''}`),
    );
    await begin(page);
    return { page, complaints };
  }
  let kept: ReturnType<typeof openIn> | undefined;

  return {
    url,
    send,
    place: (orderId, customerId = 'bela') =>
      send(orderId, 'place', { customerId, lines: [{ sku: 'tea', quantity: 2, unitPriceCents: 450 }] }),
    async open(options = {}, begin = toBoard) {
      const opened = await openIn(options, begin);
      onTestFinished(() => opened.page.context().close());
      return opened;
    },
    async shared() {
      kept ??= openIn({}, toBoard);
      const { page, complaints } = await kept;
      complaints.length = 0;
      return { page, complaints };
    },
  };
}

export const card = (page: Page, orderId: string) => page.locator(`[data-order="${orderId}"]`);
export const column = (page: Page, title: string) => page.getByRole('region', { name: title, exact: true });
