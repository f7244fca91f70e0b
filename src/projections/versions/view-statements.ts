/** Statements that read and change a projection's SQL views, each with its purpose and its locks. */

/**
 * A view as it stands, and the tables of the schema that it reads. Locks: none. $1 schema, $2 name.
 * Columns: oid, kind, owner, options (`name=value`), comment, tables, whether it has rights of its own.
 */
export const SELECT_VIEW = `SELECT v.oid::int8, v.relkind::text, r.rolname::text, v.reloptions::text[], obj_description(v.oid, 'pg_class'), ARRAY(
     SELECT DISTINCT t.relname::text FROM pg_rewrite w
     JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass
     JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid AND t.relnamespace = v.relnamespace
     WHERE w.ev_class = v.oid)
   FROM pg_class v JOIN pg_namespace n ON n.oid = v.relnamespace JOIN pg_roles r ON r.oid = v.relowner
   WHERE n.nspname = $1 AND v.relname = $2`;

/** Columns of a table or view in their order, Tidemark's own left out. Locks: none. $1 quoted, qualified name. */
export const SELECT_COLUMNS = `SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) || coalesce(' ' || c.collname, ''), col_description(a.attrelid, a.attnum)
   FROM pg_attribute a LEFT JOIN pg_collation c ON c.oid = a.attcollation
   WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped AND a.attname NOT LIKE '\\_%' ORDER BY a.attnum`;

/**
 * What would go, or be in the way, if a view were dropped: views that read it, directly or not, and whatever else depends on it
 * or stands on it. As a person reads them. Locks: none. $1 oid.
 */
export const SELECT_DEPENDENTS = `WITH RECURSIVE readers(oid) AS (
     SELECT $1::int8::oid UNION
     SELECT w.ev_class FROM readers r
     JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid AND d.classid = 'pg_rewrite'::regclass
     JOIN pg_rewrite w ON w.oid = d.objid
   )
   SELECT CASE c.relkind WHEN 'm' THEN 'materialized view ' WHEN 'v' THEN 'view ' ELSE '' END || n.nspname || '.' || c.relname
   FROM readers r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.oid <> $1::int8::oid
   UNION
   SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d
   WHERE d.deptype = 'n' AND d.classid <> 'pg_rewrite'::regclass AND (
     (d.refclassid = 'pg_class'::regclass AND d.refobjid = $1::int8::oid)
     OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
       SELECT t.oid FROM pg_type t WHERE t.typrelid = $1::int8::oid
       UNION SELECT t.typarray FROM pg_type t WHERE t.typrelid = $1::int8::oid)))
   UNION SELECT 'trigger ' || g.tgname FROM pg_trigger g WHERE g.tgrelid = $1::int8::oid AND NOT g.tgisinternal
   UNION SELECT 'rule ' || w.rulename FROM pg_rewrite w WHERE w.ev_class = $1::int8::oid AND w.rulename <> '_RETURN'
   ORDER BY 1`;

/** Rights that others than its owner have, on the view and on its columns. Locks: none. $1 oid. Columns: right, column, role, may pass it on. */
export const SELECT_GRANTS = `SELECT x.privilege_type, NULL::text, coalesce(quote_ident(g.rolname), 'PUBLIC'), x.is_grantable
   FROM pg_class v CROSS JOIN LATERAL aclexplode(v.relacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee
   WHERE v.oid = $1::int8::oid AND x.grantee <> v.relowner
   UNION ALL
   SELECT x.privilege_type, a.attname::text, coalesce(quote_ident(g.rolname), 'PUBLIC'), x.is_grantable
   FROM pg_class v JOIN pg_attribute a ON a.attrelid = v.oid CROSS JOIN LATERAL aclexplode(a.attacl) x LEFT JOIN pg_roles g ON g.oid = x.grantee
   WHERE v.oid = $1::int8::oid AND x.grantee <> v.relowner`;

/** Who we are, for what is made now. Locks: none. */
export const SELECT_ME = 'SELECT current_user::text';

/** How long the statements of this transaction wait for a lock. $1 milliseconds. */
export const SET_LOCK_TIMEOUT = `SELECT set_config('lock_timeout', $1, true)`;

/** Who holds or reads a relation. Locks: none. $1 quoted, qualified name. */
export const SELECT_USERS_OF = `SELECT DISTINCT a.pid, coalesce(a.usename::text, ''), coalesce(a.application_name, '')
   FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
   WHERE l.relation = to_regclass($1) AND l.granted AND l.pid <> pg_backend_pid() ORDER BY a.pid`;
