/** A booking of one seat, which may be changed for another. Who may have which seat is not decided here: see `seats`. */
import { aggregate, idText } from 'tidemark';
import { z } from 'zod';

export const Booking = aggregate('booking', {
  state: z.object({ seat: z.string().nullable() }),
  initial: { seat: null },
  events: {
    SeatBooked: z.object({ customerId: z.string(), seat: z.string() }),
    SeatChanged: z.object({ seat: z.string() }),
    BookingCancelled: z.object({}),
  },
  commands: {
    book: z.strictObject({ customerId: idText(), seat: idText() }),
    change: z.strictObject({ seat: idText() }),
    cancel: z.strictObject({}),
  },
})
  .evolve({
    SeatBooked: (_state, { data }) => ({ seat: data.seat }),
    SeatChanged: (_state, { data }) => ({ seat: data.seat }),
    BookingCancelled: () => ({ seat: null }),
  })
  .decide({
    book: (state, input, { emit, reject }) =>
      state.seat === null ? emit('SeatBooked', input) : reject('booking_exists'),
    change: (state, { seat }, { emit, reject }) => {
      if (state.seat === null) return reject('booking_not_found', { as: 'not_found' });
      return state.seat === seat ? [] : emit('SeatChanged', { seat });
    },
    cancel: (state, _input, { emit, reject }) =>
      state.seat === null ? reject('booking_not_found', { as: 'not_found' }) : emit('BookingCancelled', {}),
  });
