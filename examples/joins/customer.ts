/** A customer of the theatre. Orders and bookings name customers by id; what they are called is said here alone. */
import { aggregate, idText } from 'tidemark';
import { z } from 'zod';

export const Customer = aggregate('customer', {
  state: z.object({ name: z.string().nullable() }),
  initial: { name: null },
  events: {
    CustomerRegistered: z.object({ name: z.string() }),
    CustomerRenamed: z.object({ name: z.string() }),
    CustomerLeft: z.object({}),
  },
  commands: {
    register: z.strictObject({ name: idText() }),
    rename: z.strictObject({ name: idText() }),
    leave: z.strictObject({}),
  },
})
  .evolve({
    CustomerRegistered: (_state, { data }) => ({ name: data.name }),
    CustomerRenamed: (_state, { data }) => ({ name: data.name }),
    CustomerLeft: () => ({ name: null }),
  })
  .decide({
    register: (state, { name }, { emit, reject }) =>
      state.name === null ? emit('CustomerRegistered', { name }) : reject('customer_exists'),
    rename: (state, { name }, { emit, reject }) => {
      if (state.name === null) return reject('customer_not_found', { as: 'not_found' });
      return state.name === name ? [] : emit('CustomerRenamed', { name });
    },
    leave: (state, _input, { emit, reject }) =>
      state.name === null ? reject('customer_not_found', { as: 'not_found' }) : emit('CustomerLeft', {}),
  });
