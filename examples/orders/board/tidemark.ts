/** The hooks, typed by the application: names, inputs and rows are checked when this page is compiled. */
import { createHooks } from 'tidemark/react';
import type app from '../app.js';

export const { TidemarkProvider, useClient, useCommand, useLive } = createHooks<typeof app>();

export type OrderClient = ReturnType<typeof useClient>;
