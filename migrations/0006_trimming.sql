-- Trimming of change logs: moving a log to a new slot, and dropping its oldest. One call each, so that nobody who freezes
-- between two round trips holds writers up. Safe beside any older code: it only adds.

-- Moves all shards of a log to the next slot, whose partition is there: what is written from now on goes there, and the slot
-- before it gets nothing any more. False when they have moved already (or there is no such log).
-- Locks: advisory (one who trims at a time), then the log's rows of `shards` in order: it waits for the batches that write to
-- them, and they read the slot under the same locks.
CREATE FUNCTION :schema.open_change_slot_v1(p_log text, p_slot int) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  newest int;
BEGIN
  -- Whoever waits for one shard holds up those who write to the others.
  PERFORM set_config('lock_timeout', '2000', true);
  PERFORM pg_advisory_xact_lock(hashtext('tidemark:trimming'), hashtext(':schema'));
  PERFORM s.shard FROM :schema.shards s WHERE s.log = p_log ORDER BY s.shard FOR NO KEY UPDATE;
  SELECT max(s.slot) INTO newest FROM :schema.shards s WHERE s.log = p_log;
  IF newest IS NULL OR newest >= p_slot THEN RETURN false; END IF;
  UPDATE :schema.shards s SET slot = p_slot WHERE s.log = p_log;
  UPDATE :schema.change_slots c SET closed_at = clock_timestamp() WHERE c.log = p_log AND c.slot < p_slot AND c.closed_at IS NULL;
  INSERT INTO :schema.change_slots AS c (log, slot, opened_at) VALUES (p_log, p_slot, clock_timestamp())
  ON CONFLICT (log, slot) DO UPDATE SET opened_at = excluded.opened_at, closed_at = NULL;
  RETURN true;
END
$$;

-- Drops a slot that gets nothing any more, with all that is in it, and moves the low-water marks to where it ended. False when
-- it is open, not the oldest, or gone.
-- Locks: as above, then ACCESS EXCLUSIVE on the log's table (p_table) and the slot's (p_slot_table). p_wait_ms bounds the wait
-- for the tables, as nobody can write or read the log meanwhile; 55P03 when it was too short, and nothing has happened.
--
-- No reader sees a low-water mark from before with a slot that is gone. A statement locks the log's table, through which it
-- reads every slot, before it takes the snapshot that it runs on, and keeps that lock until it has ended. So either this
-- transaction has committed before its snapshot, and it sees the new mark; or this one waits until it has ended. A
-- transaction with a snapshot of its own (REPEATABLE READ) may be older than the drop: it misses entries that were there,
-- and the arithmetic of seqs shows it.
CREATE FUNCTION :schema.drop_change_slot_v1(p_log text, p_slot int, p_table text, p_slot_table text, p_wait_ms int) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  oldest int;
BEGIN
  PERFORM set_config('lock_timeout', '2000', true);
  PERFORM pg_advisory_xact_lock(hashtext('tidemark:trimming'), hashtext(':schema'));
  PERFORM s.shard FROM :schema.shards s WHERE s.log = p_log ORDER BY s.shard FOR NO KEY UPDATE;
  SELECT min(s.slot) INTO oldest FROM :schema.shards s WHERE s.log = p_log;
  IF oldest IS NULL OR oldest <= p_slot OR to_regclass(format(':schema.%I', p_slot_table)) IS NULL
    OR EXISTS (SELECT FROM :schema.change_slots c WHERE c.log = p_log AND c.slot < p_slot) THEN RETURN false; END IF;

  PERFORM set_config('lock_timeout', p_wait_ms::text, true);
  EXECUTE format('LOCK TABLE ONLY :schema.%I IN ACCESS EXCLUSIVE MODE', p_table);
  EXECUTE format('UPDATE :schema.shards s SET low = m.seq
    FROM (SELECT x.shard, (SELECT max(c.seq) FROM :schema.%I c WHERE c.log = x.log AND c.shard = x.shard) AS seq
          FROM :schema.shards x WHERE x.log = $1) m
    WHERE s.log = $1 AND s.shard = m.shard AND m.seq > s.low', p_slot_table) USING p_log;
  EXECUTE format('DROP TABLE :schema.%I', p_slot_table);
  DELETE FROM :schema.change_slots c WHERE c.log = p_log AND c.slot = p_slot;
  RETURN true;
END
$$;
