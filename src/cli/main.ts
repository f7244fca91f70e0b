#!/usr/bin/env node
/** The `tidemark` command. */
import { main } from './program.js';

await main(process.argv.slice(2), { projectDir: process.cwd() });
