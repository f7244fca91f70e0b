-- The first call in the transaction of a projection that a handler writes. Safe beside any older code: it only adds.

-- Moves the checkpoints of a batch, under the writer's lease, as the apply functions of keyed rows do: whoever comes second finds them
-- moved. What a handler then writes in the same transaction counts exactly once.
-- Raises TM102 (another holder or term), TM101 (a checkpoint is not where the caller left it),
-- TM105 (it is paused or gone).
-- Locks: the lease FOR SHARE, then the checkpoints. The state is read in a statement after them: who pauses commits it first and
-- then waits for these locks.
CREATE FUNCTION :schema.tables_begin_v1(
  p_projection text, p_version int, p_sources text[], p_shards int[], p_from bigint[], p_til bigint[], p_scope text, p_holder text, p_term bigint
) RETURNS void
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  n bigint;
BEGIN
  PERFORM FROM :schema.leases l WHERE l.scope = p_scope AND l.item = 0 AND l.holder = p_holder AND l.term = p_term FOR SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'the lease has another holder' USING ERRCODE = 'TM102'; END IF;

  UPDATE :schema.checkpoints c SET seq = x.til
  FROM unnest(p_sources, p_shards, p_from, p_til) AS x(source, shard, since, til)
  WHERE c.projection = p_projection AND c.version = p_version AND c.source = x.source AND c.shard = x.shard AND c.seq = x.since;
  GET DIAGNOSTICS n = ROW_COUNT;
  IF n <> cardinality(p_shards) THEN RAISE EXCEPTION 'a checkpoint was moved by another' USING ERRCODE = 'TM101'; END IF;

  PERFORM FROM :schema.projections p
  WHERE p.name = p_projection AND p.version = p_version AND p.state NOT IN ('building', 'paused', 'retired');
  IF NOT FOUND THEN RAISE EXCEPTION 'the projection is paused or gone' USING ERRCODE = 'TM105'; END IF;
END
$$;
