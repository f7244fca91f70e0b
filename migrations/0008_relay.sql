-- The relay to Kafka: how far each shard is there, what was found when it was compared, which dead letters were sent. Leases that a
-- process could not use go to others. Safe beside any older code: it only adds, and what older code writes without the new
-- columns means what it meant.

-- Up to which seq the entries of a shard are in Kafka. Moved by compare-and-set on holder and term: of the lease under which the
-- shard was opened last.
CREATE TABLE :schema.relay_cursors (
  log text COLLATE "C" NOT NULL,
  shard int NOT NULL CHECK (shard >= 0),
  -- Of the log, when this cursor began to count.
  epoch text COLLATE "C" NOT NULL,
  seq bigint NOT NULL CHECK (seq >= 0),
  -- The first record of this epoch is the one after it.
  begun bigint NOT NULL CHECK (begun >= 0),
  holder text COLLATE "C",
  term bigint,
  -- Where Kafka has what Postgres does not: what was found. The whole log waits for `tidemark doctor --new-epoch`.
  diverged text,
  PRIMARY KEY (log, shard)
) WITH (fillfactor = 40);

-- Every epoch under which a log was ever sent. A record of another one is of a database that this one does not descend from.
CREATE TABLE :schema.relay_epochs (
  log text COLLATE "C" NOT NULL,
  epoch text COLLATE "C" NOT NULL,
  PRIMARY KEY (log, epoch)
);

-- The server that the relays saw last. One row.
CREATE TABLE :schema.relay_state (
  one boolean PRIMARY KEY DEFAULT true CHECK (one),
  system_identifier text NOT NULL,
  timeline text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT now()
);

-- Moves cursors. A row for each that was moved; whoever finds one of his missing has lost the shard. What a crash of Postgres
-- loses of it is sent again, so nobody waits for the disk.
-- Locks: the rows of `relay_cursors`, in (log, shard) order.
CREATE FUNCTION :schema.relay_move_v1(
  p_holder text, p_logs text[], p_shards int[], p_terms bigint[], p_from bigint[], p_til bigint[]
) RETURNS TABLE (log text, shard int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  RETURN QUERY
  WITH mine AS (
    SELECT c.log, c.shard, x.til FROM unnest(p_logs, p_shards, p_terms, p_from, p_til) AS x(log, shard, term, since, til)
    JOIN :schema.relay_cursors c ON c.log = x.log AND c.shard = x.shard
    WHERE c.holder = p_holder AND c.term = x.term AND c.seq = x.since ORDER BY c.log, c.shard FOR NO KEY UPDATE OF c
  )
  UPDATE :schema.relay_cursors c SET seq = m.til FROM mine m WHERE c.log = m.log AND c.shard = m.shard RETURNING c.log, c.shard;
END
$$;

-- A parked event goes to the dead letters of its projection once.
ALTER TABLE :schema.parked_events ADD COLUMN sent boolean NOT NULL DEFAULT false;
CREATE INDEX parked_events_unsent ON :schema.parked_events (n) WHERE NOT sent;

-- Who gave a lease back as he could not use it, until he tries it again. While it is set, the lease counts in nobody's fair share:
-- others take it though they have theirs.
ALTER TABLE :schema.leases ADD COLUMN yielded_by text COLLATE "C";

-- One beat of a process; as lease_beat_v1, and leases that another could not use are taken beyond the fair share. `share` has
-- those that are held in it.
-- Locks: as lease_beat_v1.
CREATE FUNCTION :schema.lease_beat_v2(
  p_member text, p_ttl_ms int, p_scopes text[], p_items int[], p_shy_scopes text[], p_shy_items int[]
) RETURNS TABLE (scope text, item int, term bigint, share int)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  alive text[];
  shares int[];
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('tidemark:leases'), hashtext(':schema'));
  INSERT INTO :schema.members AS m (member, pid, backend_start, expires_at, scopes)
  SELECT p_member, a.pid, a.backend_start, clock_timestamp() + p_ttl_ms * interval '1 millisecond', p_scopes
  FROM pg_stat_get_activity(pg_backend_pid()) a
  ON CONFLICT (member) DO UPDATE
    SET pid = excluded.pid, backend_start = excluded.backend_start, expires_at = excluded.expires_at, scopes = excluded.scopes;
  DELETE FROM :schema.members m WHERE m.expires_at < clock_timestamp() - interval '1 minute';
  IF (SELECT count(*) FROM :schema.leases l WHERE l.scope = ANY (p_scopes)) < (SELECT sum(n) FROM unnest(p_items) n) THEN
    INSERT INTO :schema.leases (scope, item)
    SELECT w.scope, i FROM unnest(p_scopes, p_items) AS w(scope, items), generate_series(0, w.items - 1) i
    ON CONFLICT DO NOTHING;
  END IF;

  SELECT array_agg(m.member) INTO alive FROM :schema.members m
  WHERE m.expires_at > clock_timestamp() AND EXISTS (
    SELECT FROM pg_stat_get_activity(m.pid) a WHERE coalesce(a.backend_start = m.backend_start, true));
  SELECT array_agg(s.share ORDER BY s.n) INTO shares FROM (
    SELECT w.n, ceil(w.items::numeric / greatest(1, count(m.member)))::int AS share
    FROM unnest(p_scopes, p_items) WITH ORDINALITY AS w(scope, items, n)
    LEFT JOIN :schema.members m ON m.member = ANY (alive) AND w.scope = ANY (m.scopes)
    GROUP BY w.n, w.items
  ) s;

  WITH free AS MATERIALIZED (
    SELECT l.scope, l.item, coalesce(l.yielded_by <> p_member, false) AS orphan FROM :schema.leases l
    WHERE l.scope = ANY (p_scopes) AND (l.holder IS NULL OR l.holder <> ALL (alive))
      AND NOT EXISTS (SELECT FROM unnest(p_shy_scopes, p_shy_items) AS s(scope, item) WHERE s.scope = l.scope AND s.item = l.item)
    ORDER BY l.scope, l.item FOR UPDATE OF l SKIP LOCKED
  ), ranked AS (
    SELECT f.scope, f.item, f.orphan, row_number() OVER (PARTITION BY f.scope, f.orphan ORDER BY f.item) AS n FROM free f
  )
  UPDATE :schema.leases l SET holder = p_member, term = l.term + 1, yielded_by = CASE WHEN r.orphan THEN l.yielded_by END
  FROM ranked r JOIN unnest(p_scopes, shares) AS w(scope, share) ON w.scope = r.scope
  WHERE l.scope = r.scope AND l.item = r.item
    AND (r.orphan OR r.n <= w.share - (SELECT count(*) FROM :schema.leases o
      WHERE o.scope = r.scope AND o.holder = p_member AND o.yielded_by IS NULL));

  RETURN QUERY SELECT w.scope, l.item, l.term,
    w.share + (SELECT count(*)::int FROM :schema.leases o WHERE o.scope = w.scope AND o.holder = p_member AND o.yielded_by IS NOT NULL)
  FROM unnest(p_scopes, shares) AS w(scope, share)
  LEFT JOIN :schema.leases l ON l.scope = w.scope AND l.holder = p_member
  ORDER BY w.scope, l.item;
END
$$;
