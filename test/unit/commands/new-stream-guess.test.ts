/** The guess follows what was seen of a command, and of that command only. */
import { expect, it } from 'vitest';
import { NewStreamGuess } from '../../../src/commands/new-stream-guess.js';
import { ledgerApp } from '../../support/ledger.js';

it('is made where streams were not there lately', () => {
  const [ledger] = ledgerApp().aggregates;
  const guess = new NewStreamGuess();
  expect(guess.isNew(ledger, 'add')).toBe(false);
  guess.learn(ledger, 'add', true);
  expect(guess.isNew(ledger, 'add')).toBe(true);
  expect(guess.isNew(ledger, 'close')).toBe(false);
  for (let n = 0; n < 100; n++) guess.learn(ledger, 'add', true);
  for (let n = 0; n < 4; n++) guess.learn(ledger, 'add', false);
  expect(guess.isNew(ledger, 'add')).toBe(false);
});
