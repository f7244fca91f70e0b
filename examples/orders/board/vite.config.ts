/**
 * Builds the board into `dist/page/`, from where `tidemark start --page` serves it. `npx vite examples/orders/board` serves it
 * from its sources instead and sends its calls to a Tidemark on port 3000.
 */
import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

const source = (file: string): string =>
  fileURLToPath(new URL(`../../../src/client/${file}`, import.meta.url));
const api = 'http://127.0.0.1:3000';

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  plugins: [react()],
  resolve: {
    // In a project of your own these come from the package.
    alias: {
      'tidemark/client/sse': source('sse/index.ts'),
      'tidemark/client': source('index.ts'),
      'tidemark/react': source('react/index.ts'),
    },
  },
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'es2022',
    // A file of its own for each, as the policy of the server allows nothing that stands in a URL but pictures.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/commands': api, '/queries': api, '/streams': api, '/tidemark.json': api, '/views': api },
  },
});
