/** Rows whose key moves: who sits where. A booking has one row, at the seat that it has now. */
import { projection } from 'tidemark';
import { z } from 'zod';
import { Booking } from './booking.js';
import { Customer } from './customer.js';

export const Seats = projection('seats', {
  version: 1,
  row: z.object({
    seat: z.string(),
    bookingId: z.string(),
    customerId: z.string(),
    customerName: z.string().nullable(),
    /** Since when the booking is there, on this seat or another. */
    bookedAt: z.iso.datetime(),
  }),
  key: 'seat',
  channels: ['customerId'],
})
  .join(Customer, {
    by: 'customerId',
    none: { customerName: null },
    fold: {
      CustomerRegistered: (_part, { data }) => ({ customerName: data.name }),
      CustomerRenamed: (_part, { data }) => ({ customerName: data.name }),
      CustomerLeft: () => null,
    },
  })
  // The key is the fold’s: where it gives another seat, the row at the old one goes and is at the new one.
  .moving(Booking, {
    fold: {
      SeatBooked: (_row, { data, streamId, recordedAt }) => ({
        seat: data.seat,
        bookingId: streamId,
        customerId: data.customerId,
        bookedAt: recordedAt,
      }),
      SeatChanged: (row, { data }) => row && { ...row, seat: data.seat },
      BookingCancelled: () => null,
    },
  });
