-- The first call in the transaction of a projection that a handler writes, for events that may come through a broker. Safe beside any
-- older code: it only adds, and what older code calls stays.

-- As tables_begin_v1, and the last event of each batch must be in Postgres, by its id (p_ids): what a broker still has of a database
-- that lost its tail is a ghost, and so is all before it that is not there.
-- Raises what tables_begin_v1 raises, and TM107 (Postgres does not have the event).
-- Locks: as tables_begin_v1.
CREATE FUNCTION :schema.tables_begin_v2(
  p_projection text, p_version int, p_sources text[], p_shards int[], p_from bigint[], p_til bigint[], p_ids text[], p_scope text,
  p_holder text, p_term bigint
) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  PERFORM :schema.tables_begin_v1(p_projection, p_version, p_sources, p_shards, p_from, p_til, p_scope, p_holder, p_term);
  IF EXISTS (
    SELECT FROM unnest(p_sources, p_shards, p_til, p_ids) AS x(source, shard, til, id)
    WHERE x.id IS NOT NULL AND NOT EXISTS (
      SELECT FROM :schema.events e WHERE e.category = x.source AND e.shard = x.shard AND e.seq = x.til AND e.event_id::text = x.id)
  ) THEN RAISE EXCEPTION 'an event is not in Postgres' USING ERRCODE = 'TM107'; END IF;
END
$$;
